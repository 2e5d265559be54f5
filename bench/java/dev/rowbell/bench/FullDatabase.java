package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;

/** A database in which much waits, died, fires and was routed within the last seven days. What waits is for a sink that is switched off. */
record FullDatabase(int waiting, int dead, int firing, int history) {

    /** Of nearly all dead letters. */
    static final String ERROR = "the receiver answered 410";

    void fill(Db db) throws SQLException {
        try (Connection connection = db.connect();
                Statement statement = connection.createStatement()) {
            for (String sql : new String[] {FUNCTIONS, FEED, DELIVERIES, FIRES, ACKNOWLEDGED, HISTORY}) {
                statement.execute(sql.replace(":waiting", String.valueOf(waiting))
                        .replace(":firing", String.valueOf(firing))
                        .replace(":history", String.valueOf(history)));
            }
            deadLetters(statement);
            // in the order in which a user meets them: autovacuum would have come long ago
            statement.execute("vacuum analyze");
        }
    }

    /** One in a hundred has another error. */
    void deadLetters(Db db) throws SQLException {
        try (Connection connection = db.connect();
                Statement statement = connection.createStatement()) {
            statement.execute(FUNCTIONS);
            deadLetters(statement);
        }
    }

    private void deadLetters(Statement statement) throws SQLException {
        statement.execute(
                DEAD_LETTERS.replace(":dead", String.valueOf(dead + dead / 100)).replace(":error", ERROR));
    }

    private static final String FUNCTIONS = """
            create or replace function pg_temp.alert_id(at timestamptz, n bigint) returns text language sql immutable as $$
              select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid::text
            $$;
            create or replace function pg_temp.document(id text, at timestamptz, n bigint) returns text language sql stable as $$
              select '{"id":"' || id || '","rule":"rule-' || n % 30 || '","reason":"the amount of the order is too high","severity":"warning",'
                || '"status":"firing","source":"bench","table":"public.orders","operation":"UPDATE","time":"' || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                || '","old":{"id":' || n % 100000 || ',"amount":17,"state":"open","customer":"customer ' || n % 1000 || '","note":null,"placed":"2026-11-23T08:00:00+00:00"}'
                || ',"new":{"id":' || n % 100000 || ',"amount":' || n || ',"state":"open","customer":"customer ' || n % 1000 || '","note":null,"placed":"2026-11-23T08:00:00+00:00"}'
                || ',"channel":"channel_1","changed":["amount"],"key":"id=' || n % 100000 || '","fingerprint":"bench/rule-' || n % 30 || '/public.orders/id=' || n % 100000 || '"}'
            $$;
            """;

    /** Each row meets each rule, so that what fires does not end. */
    private static final String FEED = """
            create table public.orders (id int primary key, amount bigint, state text, customer text, note text, placed timestamptz);
            insert into public.orders select i, i, 'open', 'customer ' || i % 1000, null, now() from generate_series(0, 99999) i;
            insert into rowbell.rule (name, feed, condition) select 'rule-' || i, 'public.orders', 'NEW.amount > -1 - ' || i from generate_series(0, 29) i;
            """;

    private static final String DELIVERIES = """
            insert into rowbell.delivery (sink, documents, attempts, filed, due, last_error)
            select 'http', array[pg_temp.document(pg_temp.alert_id(at, i), at, i)], 1, at, now() + interval '1 day', 'the receiver answered 503'
            from (select i, now() - (:waiting - i) * interval '3 ms' as at from generate_series(1, :waiting) i) w
            """;

    private static final String DEAD_LETTERS = """
            insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, died, last_error)
            select 'http', pg_temp.alert_id(at, i), pg_temp.document(pg_temp.alert_id(at, i), at, i)::json, 10, at, at + interval '1 hour',
              case when i % 100 = 0 then 'the receiver answered 41' || i / 100 % 7 else ':error' end
            from (select i, now() - interval '2 hours' - (:dead - i) * interval '1 s' as at from generate_series(1, :dead) i) d
            """;

    private static final String FIRES = """
            insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, reason, times, since, last, silenced, alert_id)
            select 'bench/rule-' || i % 30 || '/public.orders/id=' || i, 'rule-' || i % 30, 'public.orders', 'id=' || i,
              case i % 3 when 0 then 'critical' else 'warning' end, 'the amount of the order is too high', 3, now() - i * interval '1 s', now(), 0, 'x'
            from generate_series(1, :firing) i
            """;

    private static final String ACKNOWLEDGED = """
            insert into rowbell.acknowledgement (fingerprint, firing, who, note, assignee)
            select fingerprint, id, 'ada', 'looked at', 'bob' from rowbell.firing_state where id % 10 = 0
            """;

    /** A partition for each day, as Rowbell makes them, filled before it has its indexes. One alert in 50 had a try that failed, one in 100 was silenced. */
    private static final String HISTORY = """
            set TimeZone = 'UTC';
            set maintenance_work_mem = '256MB';
            do $do$
            declare
              seconds constant float8 := 7 * 86400.0 / :history;
              start constant timestamptz := now() - interval '7 days';
              day date;
              parent text;
              lowest bigint;
              highest bigint;
            begin
              for day in select generate_series(start::date, current_date, interval '1 day') loop
                lowest := greatest(1, ceil(extract(epoch from day - start) / seconds));
                highest := least(:history, ceil(extract(epoch from day + 1 - start) / seconds) - 1);
                foreach parent in array array['history_alert', 'history_try'] loop
                  execute format('create table rowbell.%s_%s (like rowbell.%1$s including storage)', parent, to_char(day, 'YYYYMMDD'));
                end loop;
                execute format($$
                  insert into rowbell.history_alert_%s (at, id, path, rule, feed, key, severity, status, reason, time, silence, sinks, document)
                  select at, id, 'durable', case when i %% 500000 = 0 then 'rule-rare' else 'rule-' || i %% 30 end, 'public.orders', 'id=' || i %% 100000,
                    'warning', 'firing', 'the amount of the order is too high', at - interval '4 ms', case when i %% 100 = 0 then 1 end,
                    case when i %% 100 = 0 then '{}'::text[] when i %% 50 = 1 then '{file,http}' else '{file}' end, pg_temp.document(id, at, i)
                  from (select i, at, pg_temp.alert_id(at, i) as id from (select i, $1 + i * $2 * interval '1 s' as at from generate_series($3, $4) i offset 0) a offset 0) a
                  $$, to_char(day, 'YYYYMMDD')) using start, seconds, lowest, highest;
                execute format($$
                  insert into rowbell.history_try_%s (at, alert_id, sink, outcome, attempt, status, answer)
                  select at, pg_temp.alert_id(at, i), sink, outcome, try, status, answer
                  from (select i, $1 + i * $2 * interval '1 s' as at from generate_series($3, $4) i offset 0) a
                  cross join (values ('file', 'delivered', 1, null, null), ('http', 'failed', 1, 503, 'Service Unavailable'), ('http', 'delivered', 2, 200, 'ok'))
                    as t (sink, outcome, try, status, answer)
                  where sink = 'file' and i %% 100 <> 0 or sink = 'http' and i %% 50 = 1
                  $$, to_char(day, 'YYYYMMDD')) using start, seconds, lowest, highest;
                foreach parent in array array['history_alert', 'history_try'] loop
                  execute format('alter table rowbell.%s attach partition rowbell.%1$s_%s for values from (%L) to (%L)',
                    parent, to_char(day, 'YYYYMMDD'), day, day + 1);
                end loop;
              end loop;
            end
            $do$
            """;
}
