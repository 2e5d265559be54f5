package dev.rowbell.outbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rowbell.health.Watchdog;
import dev.rowbell.history.History;
import dev.rowbell.testing.TestDatabase;
import java.util.List;
import java.util.UUID;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.transaction.support.TransactionTemplate;

/** What PostgreSQL refuses to store holds nothing else up, whatever comes at the same time. */
class RefusalTest {

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final DataSource dataSource = new DriverManagerDataSource(
            database.url(),
            database.settings().get("rowbell.jdbc.user"),
            database.settings().get("rowbell.jdbc.password"));
    private final OutboxComponent outbox =
            new OutboxComponent(null, null, new Watchdog(), null, new History(), () -> dataSource, () -> true);

    private void file(String... ids) {
        new TransactionTemplate(new DataSourceTransactionManager(dataSource))
                .executeWithoutResult(status -> outbox.file(transaction ->
                        List.of(ids).forEach(id -> transaction.add("x", id, "{\"id\": \"%s\"}".formatted(id), id))));
    }

    @Test
    void aBatchThatWasRefusedIsFiledAlthoughOtherBatchesComeBeforeItComesAgain() {
        database.execute("alter table rowbell.delivery add check (documents[1] not like '%bad%')");
        assertThrows(DataAccessException.class, () -> file("a1", "bad", "a2"));
        file("b1");
        file("b2");
        file("a1", "bad", "a2");
        assertEquals(
                List.of("a1", "a2", "b1", "b2"),
                database.query("select documents[1]::json ->> 'id' from rowbell.delivery order by 1"));
        assertEquals(List.of("bad"), database.query("select alert_id from rowbell.dead_letter"));
        assertFalse(outbox.isCareful());
    }

    @Test
    void aBatchIsFiledCarefullyAgainWhereItsTransactionFails() {
        database.execute("alter table rowbell.delivery add check (documents[1] not like '%bad%')");
        assertThrows(DataAccessException.class, () -> file("a1", "bad"));
        database.execute("""
                        create function public.fail() returns trigger language plpgsql as
                        $$ begin raise exception 'the commit fails' using errcode = '40001'; end $$
                        """, """
                        create constraint trigger fail after insert on rowbell.dead_letter deferrable initially deferred
                        for each row execute function public.fail()
                        """);
        assertThrows(RuntimeException.class, () -> file("a1", "bad"));
        database.execute("drop trigger fail on rowbell.dead_letter");
        file("a1", "bad");
        assertEquals(List.of("bad"), database.query("select alert_id from rowbell.dead_letter"));
    }

    @Test
    void whatBecameOfTheOtherDeliveriesIsKeptWhereTheDatabaseFailsAfterARefusal() {
        file("a1", "a2", "a3");
        database.execute(
                "create sequence public.tries",
                """
                        create function public.fail() returns trigger language plpgsql as
                        $$ declare try bigint := nextval('public.tries');
                        begin
                          if try = 1 then raise exception 'refused' using errcode = '22000'; end if;
                          if try = 3 then raise exception 'again' using errcode = '40001'; end if;
                          return null;
                        end $$
                        """,
                "create trigger fail before delete on rowbell.delivery execute function public.fail()");
        Acknowledgements acknowledgements = new Acknowledgements("x", outbox.deliveries());
        acknowledgements.add(database.query("select id from rowbell.delivery").stream()
                .map(UUID::fromString)
                .map(id -> Outcome.delivered(new Delivery(id, List.of(), 0, null), null))
                .toList());
        assertThrows(DataAccessException.class, () -> acknowledgements.flush(true));
        assertEquals(2, acknowledgements.size());
        acknowledgements.flush(true);
        assertEquals(0, database.count("rowbell.delivery"));
    }
}
