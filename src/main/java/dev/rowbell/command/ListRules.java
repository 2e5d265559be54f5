package dev.rowbell.command;

import dev.rowbell.rules.RuleState;
import dev.rowbell.rules.RuleTable;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Shows each rule and what became of it. */
@Command(
        name = "list",
        mixinStandardHelpOptions = true,
        description = "Show each rule with its feed, hits and last failure.")
final class ListRules implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        try (Visit visit = new Visit()) {
            List<RuleState> rules = new RuleTable(visit.database().pool()).list();
            Table table = new Table(
                    List.of(
                            "rule",
                            "feed",
                            "severity",
                            "fires",
                            "delivery",
                            "state",
                            "hits",
                            "last hit",
                            "last failure"),
                    rules.stream().map(ListRules::row).toList());
            spec.commandLine().getOut().println(rules.isEmpty() ? "no rules" : table);
            return 0;
        }
    }

    private static List<String> row(RuleState rule) {
        String state = rule.broken() != null ? "broken" : "on";
        String failure = rule.failure() == null
                ? ""
                : rule.failed() == null ? rule.failure() : rule.failed() + " " + rule.failure();
        return List.of(
                rule.name(),
                rule.feed(),
                rule.severity(),
                rule.fires(),
                rule.delivery(),
                rule.enabled() ? state : "off",
                String.valueOf(rule.hits()),
                rule.lastHit() == null ? "" : rule.lastHit(),
                rule.broken() != null ? rule.broken() : failure);
    }
}
