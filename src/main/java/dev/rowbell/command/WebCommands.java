package dev.rowbell.command;

import dev.rowbell.web.Users;
import java.io.BufferedReader;
import java.io.Console;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** The commands about the web console, each a method. */
@Command(name = "web", description = "Prepare logins for the web console.")
final class WebCommands {

    @Spec
    private CommandSpec spec;

    @Command(
            description =
                    "Make the hash of a password for the setting rowbell.web.users. It asks for the password, or reads a line of the standard input.",
            footer = "Exit code 0: done, 2: the password cannot be used.")
    int hash() throws IOException {
        spec.commandLine().getOut().println(Users.hash(password()));
        return 0;
    }

    private static String password() throws IOException {
        Console console = System.console();
        if (console != null) {
            char[] typed = console.readPassword("Password: ");
            return typed == null ? "" : new String(typed);
        }
        return Objects.toString(
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).readLine(), "");
    }
}
