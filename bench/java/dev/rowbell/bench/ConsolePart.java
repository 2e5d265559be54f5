package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Measures the web console over a full database: the time of each page, the rate of the drain while one page is open and while many browsers show the page
 * Live, and the time to send all dead letters again.
 */
final class ConsolePart {

    private static final FullDatabase FULL = Rounds.SHORT
            ? new FullDatabase(20_000, 4_000, 1_000, 100_000)
            : new FullDatabase(1_000_000, 200_000, 10_000, 5_000_000);
    private static final int ALERTS = Rounds.SHORT ? 20_000 : 200_000;

    private static final int CALLS = Rounds.SHORT ? 3 : 10;
    /** The goals. */
    private static final double MILLIS = 200;

    private static final double DRAIN = 0.97;
    private static final double SECONDS = 60;

    /** What it knows of the queues is a second old at most, and browsers ask for it every 10 seconds. */
    private static final List<String> COUNTING =
            List.of("/", "/sinks", "/dead-letters", "/api/sinks", "/api/dead-letters");

    private static final int REFRESH_SECONDS = 10;
    private static final int TAILS = 50;
    private static final int DEAF = 5;
    /** Alerts a second. */
    private static final int LOAD = Rounds.SHORT ? 1_000 : 5_000;

    private static final int LOAD_SECONDS = Rounds.SHORT ? 2 : 10;
    private static final long STEP_MILLIS = 20;

    private static final Pattern OLDER = Pattern.compile("href=\"(/alerts\\?[^\"]*after=[^\"]*)\"");
    private static final Pattern GROUP =
            Pattern.compile("\"(/dead-letters/all\\?do=(?:retry|discard)&amp;sink=http&amp;error=\\w+)\"");
    private static final Pattern FIELD = Pattern.compile("<input type=\"hidden\" name=\"(\\w+)\" value=\"([^\"]*)\">");

    private final Db db;
    private final Report report;
    private final List<Double> medians = new ArrayList<>();
    private final List<Double> worst = new ArrayList<>();

    ConsolePart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        long start = System.nanoTime();
        FULL.fill(db);
        db.feed();
        report.say(String.format(
                Locale.ROOT,
                "console  %,d deliveries wait, %,d dead letters, %,d fire, %,d in the history: %,d MB, filled in %.0f s",
                FULL.waiting(),
                FULL.dead(),
                FULL.firing(),
                FULL.history(),
                db.number("select pg_database_size(current_database()) / 1000000"),
                seconds(start)));
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of("rowbell.embedded.dir", "."))) {
            pages(rowbell);
            all("retry", rowbell);
            FULL.deadLetters(db);
            all("discard", rowbell);
            drains(rowbell);
            tails(rowbell);
        }
    }

    private static double seconds(long start) {
        return (System.nanoTime() - start) / 1e9;
    }

    private void pages(RowbellProcess rowbell) throws Exception {
        Map<String, Browser> users = Map.of("operator", Browser.operator(rowbell), "viewer", new Browser(rowbell));
        for (String path : paths()) {
            for (Map.Entry<String, Browser> user : users.entrySet()) {
                Matcher older = OLDER.matcher(page(user.getValue(), user.getKey(), path));
                if (older.find()) {
                    page(user.getValue(), user.getKey(), older.group(1).replace("&amp;", "&"));
                }
            }
        }
        report.atMost(
                "console",
                "slowest of %d pages, median of %d calls".formatted(medians.size(), CALLS),
                Series.of(medians.stream().max(Double::compare).orElseThrow()),
                "ms",
                "to be reached",
                Series.of(MILLIS),
                1);
        report.atMost(
                "console",
                "slowest of all calls",
                Series.of(worst.stream().max(Double::compare).orElseThrow()),
                "ms",
                "median to be reached",
                Series.of(MILLIS),
                0);
    }

    private String page(Browser user, String role, String path) throws Exception {
        String page = user.get(path);
        List<Double> millis = new ArrayList<>();
        for (int i = 0; i < CALLS; i++) {
            if (COUNTING.contains(path)) {
                TimeUnit.MILLISECONDS.sleep(1100);
            }
            long start = System.nanoTime();
            user.get(path);
            millis.add(seconds(start) * 1e3);
        }
        double median = new Series(millis).median();
        double most = millis.stream().max(Double::compare).orElseThrow();
        medians.add(median);
        worst.add(most);
        report.say(String.format(
                Locale.ROOT,
                "console  %-8s %-60s median %4.0f ms  worst %4.0f ms%s",
                role,
                path.length() > 60 ? path.substring(0, 59) + "…" : path,
                median,
                most,
                median > MILLIS ? "  too slow" : ""));
        return page;
    }

    /** Each page with each of its filters. */
    private List<String> paths() throws Exception {
        String routed = text("select id from rowbell.history_alert where sinks = '{file,http}' order by at limit 1");
        String waits = text("select documents[1]::json ->> 'id' from rowbell.delivery order by filed offset %d limit 1"
                .formatted(FULL.waiting() / 2));
        String dead = text(
                "select alert_id from rowbell.dead_letter order by id offset %d limit 1".formatted(FULL.dead() / 2));
        String hour = "from=%s&to=%s"
                .formatted(
                        text("select to_char(now() - interval '3 days', 'YYYY-MM-DD\"T\"HH24:MI')"),
                        text(
                                "select to_char(now() - interval '3 days' + interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI')"));
        String group = Browser.encoded(
                text("select lpad(to_hex(hashtextextended('%s', 0)), 16, '0')".formatted(FullDatabase.ERROR)));
        List<String> paths = new ArrayList<>(List.of("/"));
        for (String filter :
                List.of("", "?rule=rule-3", "?feed=public.orders&severity=critical", "?text=id%3D77", "?text=none")) {
            paths.add("/firing" + filter);
        }
        for (String filter : List.of(
                "",
                "?rule=rule-3",
                "?rule=rule-rare",
                "?rule=none",
                "?feed=public.orders",
                "?key=id%3D77",
                "?key=none",
                "?rule=rule-17&key=id%3D77",
                "?id=" + routed,
                "?id=none",
                "?" + hour,
                "?rule=rule-3&" + hour,
                "?outcome=sent",
                "?outcome=silenced",
                "?outcome=nowhere",
                "?outcome=failed",
                "?outcome=dead",
                "?outcome=failed&rule=rule-1")) {
            paths.add("/alerts" + filter);
        }
        for (String of : List.of(
                "rule=rule-3",
                "rule=rule-3&key=5",
                "id=" + routed,
                "id=" + waits,
                "id=" + dead,
                "id=none",
                "id=01a20acd-4fe3-7c2e-bcaf-ad88171227b1")) {
            paths.add("/explain?" + of);
        }
        String letters = "?sink=http&error=" + group;
        paths.addAll(List.of(
                "/rules",
                "/rules?q=rule-1",
                "/rules/show?name=rule-3",
                "/rules/edit?name=rule-3",
                "/sinks",
                "/dead-letters",
                "/dead-letters" + letters,
                "/dead-letters/show?number=" + text("select max(id) from rowbell.dead_letter"),
                "/dead-letters/all" + letters + "&do=retry",
                "/silences",
                "/silences/new?for=1h&why=x&look=&rule=rule-3",
                "/silences/new?for=1h&why=x&look=&key=id%3D77*",
                "/feeds",
                "/audit",
                "/tail",
                "/api/firing",
                "/api/alerts",
                "/api/alerts?rule=rule-3",
                "/api/alerts/" + routed,
                "/api/alerts/" + waits,
                "/api/rules",
                "/api/rules/edit?name=rule-3",
                "/api/sinks",
                "/api/dead-letters",
                "/api/dead-letters" + letters,
                "/api/silences",
                "/api/feeds"));
        return paths;
    }

    private String text(String sql) throws Exception {
        try (Connection connection = db.connect();
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return row.getString(1);
        }
    }

    /** A drain takes less than the 10 seconds after which an open page loads again: it meets it more often here than in real life. */
    private void drains(RowbellProcess rowbell) throws Exception {
        Browser browser = new Browser(rowbell);
        Map<String, Series> series = new Rounds()
                .throwAway(2)
                .add("closed", () -> drain(rowbell))
                .add("open", () -> {
                    ScheduledExecutorService page = Executors.newSingleThreadScheduledExecutor();
                    page.scheduleAtFixedRate(() -> load(browser), 1, REFRESH_SECONDS, TimeUnit.SECONDS);
                    try {
                        return drain(rowbell);
                    } finally {
                        page.shutdown();
                    }
                })
                .add("tails", () -> {
                    try (LiveTails tails = new LiveTails(rowbell, TAILS, DEAF)) {
                        double rate = drain(rowbell);
                        tails.awaitAll(ALERTS);
                        return rate;
                    }
                })
                .run();
        report.atLeast(
                "console",
                "%,d alerts drained, the page Overview open".formatted(ALERTS),
                series.get("open"),
                "/s",
                "none open",
                series.get("closed"),
                DRAIN);
        report.atLeast(
                "console",
                "the same, %d live tails open".formatted(TAILS),
                series.get("tails"),
                "/s",
                "none open",
                series.get("closed"),
                DRAIN);
    }

    private static void load(Browser browser) {
        try {
            browser.get("/");
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** As that of {@link HistoryPart}. What it has fire is no part of the sizes that are measured, and is deleted. */
    private double drain(RowbellProcess rowbell) throws Exception {
        double rate = HistoryPart.drain(db, rowbell, ALERTS);
        while (db.number("select count(*) from rowbell.firing_event") > 0) {
            TimeUnit.MILLISECONDS.sleep(50);
        }
        db.execute(
                "delete from rowbell.firing_state where rule = 'c2-overflow'", "vacuum analyze rowbell.firing_state");
        return rate;
    }

    /** Alerts flow as fast as the issue says. Each tail is told how many lines were left out, to the last one. */
    private void tails(RowbellProcess rowbell) throws Exception {
        double idle = rowbell.cpuSeconds();
        double without = flow(rowbell);
        double cpuWithout = rowbell.cpuSeconds() - idle;
        double before = rowbell.megabytes();
        double with;
        double cpuWith;
        long shown;
        try (LiveTails tails = new LiveTails(rowbell, TAILS, DEAF)) {
            idle = rowbell.cpuSeconds();
            with = flow(rowbell);
            cpuWith = rowbell.cpuSeconds() - idle;
            shown = tails.awaitAll(LOAD * LOAD_SECONDS);
        }
        report.say(String.format(
                Locale.ROOT,
                "console  %,d live tails, of which %d do not read: of %,d alerts each shows %,d at most, and says that it left out the others",
                TAILS,
                DEAF,
                LOAD * LOAD_SECONDS,
                shown));
        report.atMost(
                "console",
                "%,d alerts/s, %d live tails: last write to file".formatted(LOAD, TAILS),
                Series.of(with),
                "ms",
                "none open",
                Series.of(without),
                0);
        report.atMost(
                "console", "CPU of Rowbell meanwhile", Series.of(cpuWith), "s", "none open", Series.of(cpuWithout), 0);
        report.atMost(
                "console",
                "memory (RSS) then",
                Series.of(rowbell.megabytes()),
                "MB",
                "before they were opened",
                Series.of(before),
                1.1);
    }

    /** Milliseconds from the last write until all are in the file. */
    private double flow(RowbellProcess rowbell) throws Exception {
        rowbell.clear();
        int rows = (int) (LOAD * STEP_MILLIS / 1000);
        db.execute("truncate feed");
        try (Connection connection = db.connect();
                Statement statement = connection.createStatement()) {
            long start = System.nanoTime();
            for (int i = 0; i < LOAD * LOAD_SECONDS; i += rows) {
                statement.execute(
                        "insert into feed (id, c1, c2) select %d + i, 1, 10000 + i %% 100 from generate_series(1, %d) i"
                                .formatted(i, rows));
                long next = start + TimeUnit.SECONDS.toNanos(i + rows) / LOAD;
                TimeUnit.NANOSECONDS.sleep(next - System.nanoTime());
            }
        }
        long written = System.nanoTime();
        return Math.max(0, (rowbell.awaitAlerts(LOAD * LOAD_SECONDS) - written) / 1e6);
    }

    /** All dead letters of a group, from the page, while another page is loaded again and again and another operator acknowledges. */
    private void all(String what, RowbellProcess rowbell) throws Exception {
        Browser operator = Browser.operator(rowbell);
        Matcher group = GROUP.matcher(operator.get("/dead-letters"));
        group.find();
        String ask = operator.get(group.group(1).replace("&amp;", "&").replaceFirst("do=\\w+", "do=" + what));
        Map<String, String> form = fields(ask);
        long before = db.number("select count(*) from rowbell.dead_letter");
        long start = System.nanoTime();
        CompletableFuture<Double> took = CompletableFuture.supplyAsync(() -> {
            try {
                operator.post("/dead-letters/%s-all".formatted(what), form);
                return seconds(start);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        Browser other = Browser.operator(rowbell);
        String token = fields(other.get("/firing")).get("form");
        double longest = 0;
        while (!took.isDone()) {
            long asked = System.nanoTime();
            other.get("/firing");
            other.post("/firing/acknowledge", Map.of("rule", "rule-7", "key", "id=7", "form", token));
            longest = Math.max(longest, seconds(asked) * 1e3);
        }
        long gone = before - db.number("select count(*) from rowbell.dead_letter");
        if (gone < FULL.dead() * 0.98) {
            throw new WrongCount("of %d dead letters %d are gone".formatted(before, gone));
        }
        report.atMost(
                "console",
                "%s %,d dead letters from the page".formatted(what, gone),
                Series.of(took.get()),
                "s",
                "to be reached",
                Series.of(SECONDS),
                1);
        report.atMost(
                "console",
                "the page Firing and an acknowledgement meanwhile",
                Series.of(longest),
                "ms",
                "",
                Series.of(MILLIS),
                0);
    }

    private static Map<String, String> fields(String page) {
        Map<String, String> fields = new HashMap<>();
        Matcher field = FIELD.matcher(page);
        while (field.find()) {
            fields.put(field.group(1), field.group(2));
        }
        return fields;
    }
}
