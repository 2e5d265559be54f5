package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.Golden;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the compiler makes of rules, in files that are checked in. */
class GoldenTriggerTest {

    /** docs/trigger.md explains the golden file of the rule of the README, block by block. */
    @Test
    void thePageThatExplainsATriggerShowsWhatTheCompilerMakes() throws IOException {
        String explained = Pattern.compile("```sql\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("docs/trigger.md")))
                .results()
                .map(block -> block.group(1))
                .collect(Collectors.joining());
        String compiled = Files.readString(Path.of("src/test/resources/dev/rowbell/rules/threshold.sql"));
        assertEquals(
                compiled.substring(0, compiled.indexOf("CREATE OR REPLACE FUNCTION rowbell_alert.again_1"))
                        .replace("\n\n", "\n"),
                explained);
    }

    private final TestDatabase database = TestDatabase.createWithSchema();

    /** name | what is before the rules | columns of the rules | values of each rule, with semicolons between them. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "threshold   |                                                | name, feed, condition                  | 'order-too-large', 'public.orders', 'NEW.amount > 10000'",
                "compare     |                                                | name, feed, condition                  | 'doubled', 'public.orders', 'NEW.amount > 2 * OLD.amount'",
                "changed     |                                                | name, feed, condition, fires, columns  | 'moved', 'public.orders', 'NEW.amount > 100', 'changed', '{state}'",
                "resolved    |                                                | name, feed, condition, resolved, operations | 'stuck', 'public.orders', 'NEW.state = ''stuck''', true, '{insert,update,delete}'",
                "notify      |                                                | name, feed, condition, delivery        | 'seen', 'public.orders', 'NEW.amount > 10000', 'notify'",
                "function    |                                                | name, feed, condition                  | 'odd-note', 'public.orders', 'length(NEW.state) > 5 -- no plain condition'",
                "by-row      | select rowbell.for_each('public.orders', 'row')| name, feed, condition, resolved        | 'order-too-large', 'public.orders', 'NEW.amount > 10000', true",
                "several     |                                                | name, feed, condition, delivery        | 'a', 'public.orders', 'NEW.amount > 10', 'durable'; 'b', 'public.orders', 'NEW.amount > 20', 'notify'; 'c', 'public.orders', 'NEW.state is null', 'durable'",
                "partitioned |                                                | name, feed, condition                  | 'p', 'public.parts', 'NEW.amount > 10'",
                "for         |                                                | name, feed, condition, \"for\", resolved | 'unpaid', 'public.orders', 'NEW.state = ''placed''', '30 min', true",
                "count       |                                                | name, feed, condition, count, within, by | 'piling-up', 'public.orders', 'NEW.state = ''stuck''', 100, '5 min', '{NEW.amount}'",
                "sum         | select rowbell.for_each('public.orders', 'row')| name, feed, condition, sum, over, within | 'a', 'public.orders', 'NEW.amount > 10', null, null, null; 'turnover', 'public.orders', 'NEW.state = ''paid''', 'NEW.amount', 5000, '1 h'",
                "fence       | create type mood as enum ('good'); alter type mood owner to stranger_of_a_trigger; alter table orders add mood mood | name, feed, condition, resolved | 'order-too-large', 'public.orders', 'NEW.amount > 10000', true",
                "types       |                                                | name, feed, condition                  | 't', 'public.types', 'NEW.amount > 10'"
            })
    void theFunctionsOfAFeedAreThoseThatAreCheckedIn(String name, String before, String columns, String rules)
            throws IOException {
        // before, there is no MERGE, and nothing notes which rows move
        Assumptions.assumeTrue(!name.equals("partitioned") || database.major() >= 15);
        database.execute(
                "do $$ begin create role stranger_of_a_trigger; exception when duplicate_object then null; end $$",
                "create table orders (id int primary key, amount int, state text)",
                "create table parts (id int, amount int) partition by list (id)",
                "create table parts_1 partition of parts for values in (1)",
                "create table parts_2 partition of parts for values in (2, 3)",
                "create table types (id int primary key, amount numeric, at timestamptz, ratio float8)");
        if (before != null) {
            database.execute(before);
        }
        for (String values : rules.split("; ")) {
            database.execute("insert into rowbell.rule (" + columns + ") values (" + values + ")");
        }
        List<String> functions = database.query("""
                select pg_get_functiondef(p.oid)
                from pg_proc p
                where p.proname ~ '^(on_row|on_statement|again|raise|look|before_move|on_move|moves)_[1-9]'
                order by array_position('{on_row,on_statement,raise,again,look,before_move,on_move,moves}', regexp_replace(p.proname, '_\\d+$', '')), p.proname
                """);
        Golden.compare(
                "rules/" + name + ".sql",
                String.join("\n", functions)
                        .replaceAll("(raise_alerts|append_\\w+)\\(1, \\d+", "$1(1, RELATION")
                        .replaceAll("(relation operator\\(pg_catalog.=\\)) \\d+", "$1 RELATION")
                        .replaceAll("( SET (lc_\\w+|default_text_search_config) TO ).*", "$1…"));
    }
}
