package dev.rowbell.command;

import dev.rowbell.rules.RuleTable;
import dev.rowbell.rules.Rules;
import dev.rowbell.settings.SettingsException;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Says what is wrong with a file before it is applied. */
@Command(
        name = "check",
        mixinStandardHelpOptions = true,
        description = "Say what is wrong with a file of rules, and change nothing.",
        footer = "Exit code 0: all right, 1: something is wrong, 2: a setting or an argument is.")
final class CheckRules implements Callable<Integer> {

    @Parameters(
            arity = "0..1",
            paramLabel = "FILE",
            description = "The file; if there is none, that of rowbell.rules.file.")
    private String file;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        PrintWriter out = spec.commandLine().getOut();
        try (Visit visit = new Visit()) {
            String origin = visit.settings().text("rowbell.rules.file").replaceFirst("^file:", "");
            if (file == null && origin.isEmpty()) {
                throw new SettingsException("rowbell.rules.file is empty: name the file to check");
            }
            String uri = file == null ? origin : file;
            Rules.Checked checked = Rules.check(
                    visit.context(),
                    uri,
                    origin,
                    () -> new RuleTable(visit.database().pool()));
            checked.problems().forEach(out::println);
            if (checked.problems().isEmpty()) {
                out.println(checked.rules() == 1 ? "1 rule, all right" : checked.rules() + " rules, all right");
            }
            return checked.problems().isEmpty() ? 0 : Commands.WRONG;
        }
    }
}
