package dev.rowbell.time;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process that is killed at any moment while timers are armed, disarmed and due loses no alert of them, and raises none twice. */
@Tag("long")
class TimerKillIT {

    private static final int ROWS = 3000;

    @TempDir
    Path dir;

    @Test
    void aKillAtAnyMomentLosesAndDoublesNothing() {
        TestDatabase database = TestDatabase.createWithSchema();
        database.execute(
                "create table public.orders (id int primary key, state text)",
                "insert into rowbell.rule (name, feed, condition, \"for\", resolved) values ('unpaid', 'public.orders', 'NEW.state = ''placed''', '1 s', true)",
                // what is stored, whatever becomes of it later
                "create table public.raised (status text, id int)",
                "create function public.note() returns trigger language plpgsql as 'begin insert into public.raised"
                        + " values (new.alert ->> ''status'', (new.alert -> ''new'' ->> ''id'')::int); return null; end'",
                "create trigger note after insert on rowbell.feedback for each row execute function public.note()");
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        // deliveries that a killed process had in flight come again within the wait below
        settings.put("rowbell.outbox.lease", "5s");
        for (int i = 0; i < 6; i++) {
            int first = i * ROWS;
            try (Program rowbell = Program.rowbell(dir, settings)) {
                await().failFast(() -> !rowbell.isAlive())
                        .until(() ->
                                database.count("rowbell.listener") > 0 && database.count("rowbell.timer_event") == 0);
                long kill = System.nanoTime() + ThreadLocalRandom.current().nextLong(2_500_000_000L);
                database.execute(
                        "insert into orders select %d + n, 'placed' from generate_series(1, %d) n"
                                .formatted(first, ROWS),
                        // some of the round before, which have fired or are about to
                        "update orders set state = 'paid' where id between %d and %d"
                                .formatted(first - ROWS + 1, first - ROWS / 2));
                await().until(() -> System.nanoTime() > kill);
                rowbell.kill();
                rowbell.awaitExit();
            }
        }
        try (Program rowbell = Program.rowbell(dir, settings)) {
            await().failFast(() -> !rowbell.isAlive())
                    .untilAsserted(() -> assertEquals(List.of("t 0 0 0"), database.query("""
                            select concat_ws(' ', (select count(*) from orders where state = 'placed') = (select count(*) from rowbell.timer where fired is not null),
                              (select count(*) from rowbell.timer where fired is null or ended <> 0), (select count(*) from rowbell.timer_event),
                              (select count(*) from rowbell.feedback) + (select count(*) from rowbell.delivery))
                            """)));
        }
        assertEquals(List.of(), database.query("""
                        select o.id || ': ' || o.state || ', fired ' || count(*) filter (where r.status = 'firing') || ', resolved ' || count(*) filter (where r.status = 'resolved')
                        from orders o
                        left join raised r on r.id = o.id
                        group by o.id
                        having count(*) filter (where r.status = 'firing') > 1
                          or count(*) filter (where r.status = 'firing') <> count(*) filter (where r.status = 'resolved') + case when o.state = 'placed' then 1 else 0 end
                        """));
        // a delivery in flight comes again, with the same id
        assertEquals(
                database.query("select count(*) from raised").get(0),
                String.valueOf(AlertFiles.read(dir.resolve("alerts")).stream()
                        .map(alert -> alert.get("id"))
                        .distinct()
                        .count()));
    }
}
