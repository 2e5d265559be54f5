package dev.rowbell.command;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.SettingsException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import org.apache.camel.impl.engine.AbstractCamelContext;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;

/** What the program does besides running: {@code java -jar target/rowbell.jar rules list}. */
@Command(
        name = "java -jar target/rowbell.jar",
        mixinStandardHelpOptions = true,
        versionProvider = Commands.Version.class,
        synopsisSubcommandLabel = "[COMMAND]",
        description = {
            "Rowbell watches PostgreSQL tables and rings the right people.",
            "Without a command it runs, until it is stopped."
        },
        subcommands = {RulesCommands.class, DeliveriesCommands.class})
public final class Commands {

    /** What was asked about is wrong. */
    static final int WRONG = 1;
    /** A setting or an argument is wrong. */
    static final int WRONG_SETTING = 2;

    private Commands() {}

    /**
     * Runs one command.
     *
     * @return the exit code: 0, 1 where what was asked about is wrong, 2 where a setting or an argument is
     */
    public static int run(String... arguments) {
        return new CommandLine(new Commands())
                .setOut(utf8(System.out))
                .setErr(utf8(System.err))
                .setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF))
                .setExecutionExceptionHandler((failure, command, parsed) -> {
                    command.getErr().println("rowbell: " + Errors.forUser(failure));
                    LoggerFactory.getLogger(Commands.class).debug("not done", failure);
                    return failure instanceof SettingsException ? WRONG_SETTING : WRONG;
                })
                .execute(arguments);
    }

    /** As the log: alerts, names and rows are in any script, whatever the terminal's locale says. */
    private static PrintWriter utf8(PrintStream stream) {
        return new PrintWriter(stream, true, StandardCharsets.UTF_8);
    }

    static final class Version implements IVersionProvider {

        @Override
        public String[] getVersion() {
            String rowbell = Commands.class.getPackage().getImplementationVersion();
            return new String[] {
                "Rowbell %s, Camel %s, Java %s"
                        .formatted(
                                rowbell == null ? "from its sources" : rowbell,
                                AbstractCamelContext.class.getPackage().getImplementationVersion(),
                                System.getProperty("java.version"))
            };
        }
    }
}
