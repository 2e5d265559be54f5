package dev.rowbell.command;

import dev.rowbell.database.Checkup;
import dev.rowbell.database.Checkup.Finding;
import dev.rowbell.error.Errors;
import dev.rowbell.error.Printable;
import dev.rowbell.rules.Rules;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.sink.Reachability;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Function;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Says before the first start, or at any time, what keeps Rowbell from its work. */
@Command(
        name = "doctor",
        description = "Try the settings: database, rights, rules, mail server, HTTP receiver, disk. Changes nothing.",
        footer = "Exit code 0: nothing is wrong, 1: something is, 2: an argument is wrong.")
final class DoctorCommand implements Callable<Integer> {

    @ParentCommand
    private Commands program;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        List<Finding> findings = new ArrayList<>();
        try (CommandContext context = program.open()) {
            Settings settings = context.settings();
            settings.misspelled(System.getenv()).forEach(sentence -> findings.add(new Finding("note", sentence)));
            settings.problems().forEach(problem -> findings.add(new Finding("wrong", problem)));
            List<String> feeds = List.of();
            try {
                Rules.Feeds rules = new Rules(context.camel(), settings).feeds();
                rules.problems().forEach(problem -> findings.add(new Finding("wrong", problem.toString())));
                feeds = rules.feeds();
            } catch (SettingsException e) {
                // the start goes on with the rules in the database
                findings.add(new Finding("note", e.getMessage()));
            }
            findings.addAll(Checkup.of(settings, feeds));
            receiver("file", "rowbell.file.dir", Reachability::file, settings, findings);
            receiver("HTTP receiver", "rowbell.http.url", Reachability::http, settings, findings);
            receiver("mail server", "rowbell.mail.host", Reachability::mail, settings, findings);
        }
        return print(findings, spec.commandLine().getOut());
    }

    /** Prints each on a line, and returns the exit code. */
    static int print(List<Finding> findings, PrintWriter out) {
        findings.forEach(finding -> out.printf("%-5s  %s%n", finding.level(), Printable.line(finding.sentence())));
        return findings.stream().anyMatch(Finding::isWrong) ? Commands.WRONG : 0;
    }

    /** @param attempt gives why the receiver cannot be reached, empty where it can */
    private static void receiver(
            String name, String key, Function<Settings, String> attempt, Settings settings, List<Finding> findings) {
        if (!settings.isSet(key)) {
            findings.add(new Finding("note", "%s: off, %s is empty".formatted(name, key)));
            return;
        }
        String why;
        try {
            why = attempt.apply(settings);
        } catch (SettingsException | IllegalArgumentException e) {
            why = Errors.withoutSecrets(e.getMessage());
        }
        findings.add(
                why.isEmpty()
                        ? new Finding("ok", name + ": can be reached")
                        : new Finding("wrong", "%s: %s: %s".formatted(name, key, why)));
    }
}
