package dev.rowbell.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.Application;
import dev.rowbell.command.Commands;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The commands of the program, run in this process. For one thread: the streams of the process are those of the command meanwhile. */
public final class CommandLine {

    private CommandLine() {}

    /**
     * Runs a command.
     *
     * @param exit the code that it must end with
     * @param settings of the program, beside the system properties
     * @return what the command printed, errors too
     */
    public static String run(int exit, Map<String, String> settings, String... arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        try (PrintStream both = new PrintStream(printed, true, StandardCharsets.UTF_8)) {
            System.setOut(both);
            System.setErr(both);
            int ended = Commands.run(
                    () -> {
                        Application camel = new Application();
                        settings.forEach(camel::addOverrideProperty);
                        return camel;
                    },
                    arguments);
            assertEquals(exit, ended, () -> printed.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        return printed.toString(StandardCharsets.UTF_8);
    }
}
