package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.TestDatabase;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Needs pg_dump and psql of the server's version, and so a container: the embedded PostgreSQL has neither. */
@Tag("container")
class RuleDumpTest {

    @Test
    void rulesGoOnInADatabaseThatWasDumpedAndRestored() throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        database.execute(
                "create table padding (n int)",
                "create table orders (id int primary key, c2 int) partition by hash (id)",
                "create table orders_0 partition of orders for values with (modulus 2, remainder 0)",
                "create table orders_1 partition of orders for values with (modulus 2, remainder 1)",
                "drop table padding",
                "insert into rowbell.rule (name, feed, condition) values ('it''s', 'public.orders', 'NEW.c2 > 9')",
                "insert into orders values (1, 10)",
                "insert into rowbell.rule (name, feed, condition) values ('off', 'public.orders', 'NEW.c2 > 9')",
                "select rowbell.disable('off', 'import', 'ada')");
        TestDatabase restored = database.dumpedAndRestored();
        assertEquals(1, restored.count("rowbell.feedback"));
        restored.execute("delete from rowbell.feedback", "insert into orders values (2, 10)");
        assertEquals(List.of("it's"), restored.query("select alert->>'rule' from rowbell.feedback"));
        assertEquals(List.of(), restored.query("select event from rowbell.refresh()"));
        assertEquals(List.of("off ada import"), restored.query("""
                        select concat_ws(' ', r.name, v.who, v.note)
                        from rowbell.rule r
                        join rowbell.rule_override v on v.rule = r.name
                        where not r.enabled
                        """));
        assertEquals(List.of("t"), restored.query("""
                        select bool_and(p.proowner = rowbell.role_of(f.id)::regrole)
                        from rowbell.feed f
                        join pg_trigger t on t.tgrelid = f.relation and not t.tgisinternal
                        join pg_proc p on p.oid = t.tgfoid
                        where p.proname ~ '^on_(statement|row)_'
                        """), "conditions run as the role of the feed in this database");
        restored.execute(
                "delete from rowbell.feedback",
                "insert into orders values (3, 10)",
                "update rowbell.rule set condition = 'NEW.c2 > 99' where enabled",
                "insert into orders values (4, 98), (5, 100)");
        assertEquals(
                restored.query("select tableoid::regclass from orders where id in (3, 5) order by id").stream()
                        .map(t -> "public." + t)
                        .toList(),
                restored.query("select alert->>'partition' from rowbell.feedback order by crt_time"));
    }
}
