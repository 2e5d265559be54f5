package dev.rowbell.bench;

import java.sql.SQLException;
import java.util.List;
import java.util.Map;

/** The cost of rules for the writer, against a feed without triggers and against a trigger that reads its rules from a table. */
final class WritePart {

    private static final int ROWS = 200_000;
    /** One write in so many is an alert. */
    private static final int HIT = 10_000;

    private static final int BATCH = 1000;

    private static final String BATCH_SQL = """
            insert into %s (id, c1, c2) select ? + g, g, case when g = ? then 1000000 else g end from generate_series(1, 1000) g
            on conflict (id) do update set c1 = excluded.c1, c2 = excluded.c2
            """;
    private static final String ARTICLE_CONDITION =
            "case %1$s when 2 then %2$s.c2 when 3 then %2$s.c3 when 4 then %2$s.c4 when 5 then %2$s.c5"
                    + " when 6 then %2$s.c6 when 7 then %2$s.c7 when 8 then %2$s.c8 when 9 then %2$s.c9 when 10 then %2$s.c10 else %2$s.c11 end > %3$s";
    private static final String ONE_SQL =
            "insert into %s (id, c1, c2) values (?, 3, ?) on conflict (id) do update set c1 = excluded.c1, c2 = excluded.c2";

    private final Db db;
    private final Report report;

    WritePart(Server server, Report report) throws SQLException {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        for (int rules : List.of(0, 1, 10, 100)) {
            feed("feed_" + rules, rules);
        }
        for (int rules : List.of(1, 10)) {
            db.execute(
                    "create table row_" + rules + Db.COLUMNS,
                    "select rowbell.for_each('public.row_" + rules + "', 'row')");
            fill("row_" + rules, rules);
        }
        feed("feed_article", 0);
        feed("feed_lookup", 0);
        article(10);
        wide("wide_0", 0);
        wide("wide_10", 10);
        Map<String, Series> batches;
        try (Writers one = new Writers(db, 1)) {
            Rounds rounds = new Rounds().ofWriters().throwAway(2);
            for (String table :
                    List.of("feed_0", "feed_1", "feed_10", "feed_100", "row_10", "feed_article", "feed_lookup")) {
                rounds.add(
                        table,
                        () -> BATCH
                                * one.rate(BATCH_SQL.formatted(table), (statement, random) -> {
                                    statement.setInt(1, random.nextInt(ROWS - BATCH));
                                    statement.setInt(
                                            2, random.nextInt(HIT / BATCH) == 0 ? random.nextInt(BATCH) + 1 : -1);
                                }));
            }
            for (String table : List.of("wide_0", "wide_10")) {
                rounds.add(
                        table,
                        () -> BATCH
                                * one.rate(
                                        "update " + table + " set c1 = c1 + 1 where id between ? and ? + 999",
                                        (statement, random) -> {
                                            int first = random.nextInt(20_000 - BATCH);
                                            statement.setInt(1, first);
                                            statement.setInt(2, first);
                                        }));
            }
            batches = rounds.run();
        }
        Series none = batches.get("feed_0");
        report.atLeast(
                "write", "upserts of 1000 rows, 1 rule", batches.get("feed_1"), "rows/s", "no trigger", none, 0.88);
        report.atLeast(
                "write", "upserts of 1000 rows, 10 rules", batches.get("feed_10"), "rows/s", "no trigger", none, 0.82);
        report.atLeast(
                "write",
                "upserts of 1000 rows, 100 rules",
                batches.get("feed_100"),
                "rows/s",
                "no trigger",
                none,
                0.70);
        report.atLeast(
                "write",
                "upserts of 1000 rows, 10 rules",
                batches.get("feed_10"),
                "rows/s",
                "rules in a table, row by row",
                batches.get("feed_article"),
                0);
        report.atLeast(
                "write",
                "upserts of 1000 rows, 10 rules",
                batches.get("feed_10"),
                "rows/s",
                "rules in a table, one query",
                batches.get("feed_lookup"),
                0);
        report.atLeast(
                "write",
                "upserts of 1000 rows, 10 rules, row triggers",
                batches.get("row_10"),
                "rows/s",
                "no trigger",
                none,
                0);
        report.atLeast(
                "write",
                "updates of 1000 rows with 2 kB jsonb, 10 rules",
                batches.get("wide_10"),
                "rows/s",
                "no trigger",
                batches.get("wide_0"),
                0.82);
        Map<String, Series> singles;
        try (Writers eight = new Writers(db, 8)) {
            Rounds rounds = new Rounds().ofWriters().throwAway(2);
            for (String table : List.of("feed_0", "feed_1", "row_1", "feed_10", "row_10")) {
                rounds.add(
                        table,
                        () -> eight.rate(ONE_SQL.formatted(table), (statement, random) -> {
                            statement.setInt(1, random.nextInt(ROWS));
                            statement.setInt(2, random.nextInt(HIT) == 0 ? 1_000_000 : 4);
                        }));
            }
            singles = rounds.run();
        }
        Series alone = singles.get("feed_0");
        report.atLeast(
                "write",
                "upserts of one row, 8 writers, 1 rule",
                singles.get("feed_1"),
                "rows/s",
                "no trigger",
                alone,
                0.75);
        report.atLeast(
                "write",
                "upserts of one row, 1 rule, row triggers",
                singles.get("row_1"),
                "rows/s",
                "no trigger",
                alone,
                0.82);
        report.atLeast(
                "write",
                "upserts of one row, 8 writers, 10 rules",
                singles.get("feed_10"),
                "rows/s",
                "no trigger",
                alone,
                0.75);
        report.atLeast(
                "write",
                "upserts of one row, 10 rules, row triggers",
                singles.get("row_10"),
                "rows/s",
                "no trigger",
                alone,
                0.82);
    }

    private void feed(String table, int rules) throws SQLException {
        db.execute("create table " + table + Db.COLUMNS);
        fill(table, rules);
    }

    private void fill(String table, int rules) throws SQLException {
        db.execute(
                "insert into " + table + " select i from generate_series(0, " + ROWS + ") i",
                "vacuum analyze " + table);
        rules(table, rules);
    }

    private void wide(String table, int rules) throws SQLException {
        db.execute(
                "create table " + table
                        + " (id int8 primary key, c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int,"
                        + " c11 int, c12 int, doc jsonb)",
                "insert into " + table
                        + " (id, c1, doc) select i, 0, jsonb_build_object('text', (select string_agg(md5(i::text || g), '') from generate_series(1, 60) g))"
                        + " from generate_series(0, 20000) i",
                "vacuum analyze " + table);
        rules(table, rules);
    }

    /** One rule of ten compares c2 with a value that only a hit exceeds. */
    private void rules(String table, int rules) throws SQLException {
        db.execute("insert into rowbell.rule (name, feed, condition) select format('%s %s', '" + table
                + "', i), 'public." + table
                + "', format('NEW.c%s > %s', 2 + (i - 1) % 10, 999990 + i % 10) from generate_series(1, " + rules
                + ") i");
    }

    /**
     * The article keeps changeable rules in a table and tests each by a function of row and rule:
     * {@code perform pg_notify(channel_column, resone_column||'::'||row_to_json(NEW)) from rule_table where udf(NEW::feed, rule_table)}.
     * This form inserts instead of notifying, as the article advises for durable alerts. A second form has no function, which is the
     * cheapest way to read rules from a table.
     */
    private void article(int rules) throws SQLException {
        db.execute(
                "create table article_rule (col int, most int, reason text)",
                "insert into article_rule select 2 + (i - 1) % 10, 999990 + i % 10, 'rule ' || i from generate_series(1, "
                        + rules + ") i",
                "create table article_feedback (crt_time timestamptz default now(), reason text, info json)",
                "create function article_met(feed feed_article, rule article_rule) returns boolean language plpgsql stable as $fn$ begin return "
                        + ARTICLE_CONDITION.formatted("rule.col", "feed", "rule.most") + "; end $fn$");
        article("feed_article", "article_met(new::feed_article, r)");
        article("feed_lookup", ARTICLE_CONDITION.formatted("r.col", "new", "r.most"));
    }

    private void article(String table, String met) throws SQLException {
        db.execute(
                "create function on_row_" + table + """
                () returns trigger language plpgsql as $fn$
                begin
                  insert into article_feedback (reason, info) select r.reason, row_to_json(new) from article_rule r where %s;
                  return null;
                end
                $fn$
                """.formatted(met),
                "create trigger on_row after insert or update on " + table + " for each row execute function on_row_"
                        + table + "()");
    }
}
