package dev.rowbell.command;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.SettingsException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.function.Supplier;
import org.apache.camel.impl.engine.AbstractCamelContext;
import org.apache.camel.main.Main;
import org.apache.camel.util.TimeUtils;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.TypeConversionException;

/** The command line of the program: {@code java -jar target/rowbell.jar rules list}. */
@Command(
        name = Commands.BY_JAVA,
        mixinStandardHelpOptions = true,
        scope = ScopeType.INHERIT,
        versionProvider = Commands.Version.class,
        synopsisSubcommandLabel = "[COMMAND]",
        description = {
            "Rowbell watches PostgreSQL tables and sends alerts to people and programs.",
            "Without a command it runs until it is stopped."
        },
        subcommands = {
            RulesCommands.class,
            DeliveriesCommands.class,
            SilencesCommands.class,
            FiringCommand.class,
            AcknowledgeCommand.class,
            DoctorCommand.class,
            WebCommands.class,
            ExplainCommand.class
        })
public final class Commands {

    static final String BY_JAVA = "java -jar target/rowbell.jar";

    /** The exit code where the thing asked about is wrong. */
    static final int WRONG = 1;
    /** The exit code where a setting or an argument is wrong. */
    static final int WRONG_SETTING = 2;

    /** PostgreSQL knows no time that is much longer ago than 6,000 years. */
    private static final Duration LONGEST = Duration.ofDays(36_500);

    /** The most rows that a command shows. */
    record Limit(int rows) {

        private static Limit of(String text) {
            if (!text.matches("0*[1-9][0-9]{0,8}")) {
                throw new TypeConversionException("give a whole number from 1 to 999999999");
            }
            return new Limit(Integer.parseInt(text));
        }
    }

    private final Supplier<Main> camel;

    private Commands(Supplier<Main> camel) {
        this.camel = camel;
    }

    /**
     * Runs one command.
     *
     * @param camel made with the settings of the program, not started
     * @return the exit code: 0, 1 where the thing asked about is wrong, 2 where a setting or an argument is
     */
    public static int run(Supplier<Main> camel, String... arguments) {
        return new CommandLine(new Commands(camel))
                // bin/rowbell says how it was called
                .setCommandName(System.getProperty("program.name", BY_JAVA))
                .registerConverter(Duration.class, Commands::duration)
                .registerConverter(Limit.class, Limit::of)
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

    CommandContext open() {
        return new CommandContext(camel.get());
    }

    /** Camel reads a text that is no duration as zero, which would select all deliveries. */
    private static Duration duration(String text) {
        if (text.matches("([0-9]{1,9}(ms|s|m|h|d))+")) {
            Duration duration = TimeUtils.toDuration(text);
            if (duration.compareTo(LONGEST) <= 0) {
                return duration;
            }
        }
        throw new TypeConversionException("give a duration such as 30m, 12h or 7d, 36500d at most");
    }

    /** Alerts, names and rows are in any script, whatever the locale of the terminal is. */
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
