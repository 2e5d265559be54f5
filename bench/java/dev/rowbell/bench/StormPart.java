package dev.rowbell.bench;

import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/** Each write is an alert, with and without a drain, against a plain row trigger that inserts the same alert and rings no doorbell. */
final class StormPart {

    private static final String SQL =
            "insert into %s (id, c1, c2) values (?, ?, 1000000) on conflict (id) do update set c1 = excluded.c1, c2 = excluded.c2";

    private final Server server;
    private final Report report;

    StormPart(Server server, Report report) {
        this.server = server;
        this.report = report;
    }

    void run() throws Exception {
        Db db = server.database();
        for (String table : new String[] {"plain", "plain_own_id", "watched", "watched_rows"}) {
            db.execute(
                    "create table " + table + Db.COLUMNS,
                    "insert into " + table + " select i from generate_series(0, 200000) i",
                    "vacuum analyze " + table);
        }
        db.execute(
                "select rowbell.for_each('public.watched_rows', 'row')",
                "insert into rowbell.rule (name, feed, condition, fires) values ('storm', 'public.watched', 'NEW.c2 > 9999', 'every'),"
                        + " ('storm by rows', 'public.watched_rows', 'NEW.c2 > 9999', 'every')",
                "create table plain_feedback (crt_time timestamptz not null default clock_timestamp(), alert json not null)",
                "create index on plain_feedback (crt_time)");
        plain(db, "plain", "rowbell.new_id()");
        // which the compiled triggers ask too
        boolean own = db.number("select (to_regprocedure('pg_catalog.uuidv7()') is not null)::int") == 1;
        plain(db, "plain_own_id", own ? "pg_catalog.uuidv7()" : "rowbell.new_id()");
        try (Writers writers = new Writers(db, 16)) {
            AtomicLong watched = new AtomicLong();
            Map<String, Series> series = new Rounds()
                    .ofWriters()
                    .throwAway(2)
                    .add("plain", () -> rate(db, writers, "plain", "plain_feedback", watched))
                    .add("plain_own_id", () -> rate(db, writers, "plain_own_id", "plain_feedback", watched))
                    .add("watched", () -> rate(db, writers, "watched", "rowbell.feedback", watched))
                    .add("watched_rows", () -> rate(db, writers, "watched_rows", "rowbell.feedback", watched))
                    .run();
            report.atLeast(
                    "storm",
                    "each write an alert, 16 writers, no drain",
                    series.get("watched"),
                    "rows/s",
                    "row trigger that inserts the same",
                    series.get("plain"),
                    0.70);
            report.atLeast(
                    "storm",
                    "the same by row triggers, no drain",
                    series.get("watched_rows"),
                    "rows/s",
                    "row trigger that inserts the same",
                    series.get("plain"),
                    0.70);
            report.atLeast(
                    "storm",
                    "the same by row triggers, no drain",
                    series.get("watched_rows"),
                    "rows/s",
                    "that with the server's own id",
                    series.get("plain_own_id"),
                    0);
            db.execute("truncate rowbell.feedback");
            watched.set(0);
            try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of())) {
                Map<String, Series> drained = new Rounds()
                        .ofWriters()
                        .throwAway(9)
                        .add("watched", () -> rate(db, writers, "watched", null, watched))
                        .add("watched_rows", () -> rate(db, writers, "watched_rows", null, watched))
                        .run();
                rowbell.awaitAlerts(watched.get());
                report.atLeast(
                        "storm",
                        "each write an alert, 16 writers, Rowbell drains",
                        drained.get("watched"),
                        "rows/s",
                        "row trigger that inserts the same",
                        series.get("plain"),
                        0);
                report.atLeast(
                        "storm",
                        "the same by row triggers, Rowbell drains",
                        drained.get("watched_rows"),
                        "rows/s",
                        "row trigger that inserts the same",
                        series.get("plain"),
                        0);
            }
        }
    }

    /** The trigger that a person would write by hand. */
    private static void plain(Db db, String table, String id) throws Exception {
        db.execute(
                """
                create function on_row_%1$s() returns trigger language plpgsql as $fn$
                begin
                  if new.c2 > 9999 then
                    insert into plain_feedback (alert) values (json_build_object('id', %2$s, 'rule', 'storm', 'reason', 'storm', 'severity', 'warning',
                      'status', 'firing', 'table', 'public.%1$s', 'operation', tg_op,
                      'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                      'old', case when tg_op = 'UPDATE' then row_to_json(old) end, 'new', row_to_json(new), 'channel', 'channel_1'));
                  end if;
                  return null;
                end
                $fn$
                """.formatted(table, id),
                "create trigger on_row after insert or update on %1$s for each row execute function on_row_%1$s()"
                        .formatted(table));
    }

    private static double rate(Db db, Writers writers, String table, String queue, AtomicLong written)
            throws Exception {
        if (queue != null) {
            db.execute("truncate " + queue);
        }
        double rate = writers.rate(SQL.formatted(table), (statement, random) -> {
            statement.setInt(1, random.nextInt(200_000));
            // each write changes a value: the shipped route drops an update that changes nothing
            statement.setInt(2, random.nextInt());
            written.incrementAndGet();
        });
        if (queue != null && db.number("select count(*) from " + queue) < 1) {
            throw new WrongCount("storm: no alerts in " + queue + "");
        }
        return rate;
    }
}
