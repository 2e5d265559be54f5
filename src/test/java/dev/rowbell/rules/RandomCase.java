package dev.rowbell.rules;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * A random table, its rules and what is written to it, as SQL that depends on no state, so that any part of it can be
 * left out and run again. {@code @S} stands for the schema: the watched table and its untouched twin are the same in
 * two schemas. {@code @NEW} in a condition stands for the whole row.
 */
final class RandomCase {

    /** What a case may hold beyond tables, rules and single statements. */
    enum Feature {
        MERGE,
        MERGE_THAT_MIXES,
        CHILDREN_OF_CHILDREN,
        WRITES_THROUGH_A_CHILD_WITH_CHILDREN,
        DROPPED_COLUMNS,
        GENERATED_COLUMNS,
        GENERATED_BESIDE_DROPPED_COLUMNS,
        WHOLE_ROWS,
        WHOLE_ROWS_BESIDE_A_COLUMN_NEW,
        COMPOSITES,
        TYPES_OF_STRANGERS,
        SETTINGS,
        DATE_STYLES,
        TWO_SESSIONS,
        WRITING_TRIGGERS,
        FEED_IS_A_PARTITION
    }

    record Column(String name, String type) {

        String quoted() {
            return "\"" + name.replace("\"", "\"\"") + "\"";
        }
    }

    record Rule(
            String name,
            String reason,
            String severity,
            String channel,
            String condition,
            String fires,
            List<Column> columns,
            boolean resolved,
            List<String> operations,
            boolean notifies) {

        boolean compares() {
            return condition.contains("OLD.");
        }
    }

    sealed interface Step permits Write, Session, Put, Remove, ForEach {}

    /** A statement for the table and for its twin. */
    record Write(int session, String sql) implements Step {}

    /** A statement that is run once, for both. */
    record Session(int session, String sql) implements Step {}

    record Put(Rule rule) implements Step {}

    record Remove(String rule, boolean disabled) implements Step {}

    record ForEach(String what) implements Step {}

    /** A table to write to, and its keys. */
    private record Place(String name, int from, int to) {}

    private enum Kind {
        PLAIN,
        KEY,
        DEFERRABLE_KEY,
        PARTITIONED,
        PARTITIONED_WITHOUT_KEY,
        CHILDREN,
        PARTITION
    }

    final String table;
    /** The table above the feed where that is a partition, otherwise the feed. */
    final String root;

    final List<String> tables = new ArrayList<>();
    /** Where a row trigger sees each row of the feed. */
    final List<String> recorded = new ArrayList<>();

    final List<Column> columns = new ArrayList<>();
    final List<Step> steps = new ArrayList<>();

    private final Random random;
    private final Set<Feature> features;
    private final Kind kind;
    private final boolean quoted;
    private final List<Place> places = new ArrayList<>();
    private final List<Column> written;
    private final Map<String, Rule> rules = new LinkedHashMap<>();
    private int rows;
    private int names;

    RandomCase(long seed, Set<Feature> features) {
        random = new Random(seed);
        this.features = features.isEmpty() ? EnumSet.noneOf(Feature.class) : EnumSet.copyOf(features);
        quoted = random.nextInt(4) == 0;
        List<Kind> kinds = new ArrayList<>(List.of(Kind.values()));
        if (!features.contains(Feature.FEED_IS_A_PARTITION)) {
            kinds.remove(Kind.PARTITION);
        }
        kind = kinds.get(random.nextInt(kinds.size()));
        table = name("");
        root = kind == Kind.PARTITION ? name("_root") : table;
        makeColumns();
        written = columns.stream().filter(c -> !c.name().equals("g")).toList();
        makeTables();
        makeUserTrigger();
        chooseTriggers();
        for (int i = 1 + random.nextInt(4); i > 0; i--) {
            putRule();
        }
        for (int i = 4 + random.nextInt(6); i > 0; i--) {
            if (features.contains(Feature.SETTINGS) && random.nextInt(3) == 0) {
                changeSettings(random.nextInt(2));
            }
            if (features.contains(Feature.TWO_SESSIONS) && random.nextInt(5) == 0) {
                twoTransactions();
            } else {
                transaction();
            }
            if (random.nextInt(4) == 0) {
                changeRule();
            }
            if (random.nextInt(8) == 0) {
                chooseTriggers();
            }
        }
    }

    /**
     * Whether PostgreSQL may hand triggers no table of their own: one cannot tell in which child a row is that was
     * written through a table above it.
     */
    boolean mayOmitPartition() {
        return kind == Kind.CHILDREN;
    }

    /** Whether a row that moves between partitions is updated, and not deleted and inserted. */
    boolean movesAreUpdates() {
        return kind != Kind.PARTITION;
    }

    boolean hasKey() {
        return kind != Kind.PLAIN && kind != Kind.PARTITIONED_WITHOUT_KEY;
    }

    private boolean isPartitioned() {
        return kind == Kind.PARTITIONED || kind == Kind.PARTITIONED_WITHOUT_KEY;
    }

    private String one(String... of) {
        return of[random.nextInt(of.length)];
    }

    private boolean oneIn(int n) {
        return random.nextInt(n) == 0;
    }

    private String name(String suffix) {
        return quoted ? "@S.\"T 'é😀 %s" + suffix + "\"" : "@S.t" + suffix;
    }

    // --- tables ---

    private void makeColumns() {
        List<String> types = new ArrayList<>(List.of(
                "int",
                "bigint",
                "numeric",
                "text",
                "boolean",
                "jsonb",
                "json",
                "int[]",
                "float8",
                "float4",
                "timestamptz",
                "timestamp",
                "date",
                "interval",
                "bytea",
                "uuid",
                "int4range"));
        if (features.contains(Feature.COMPOSITES)) {
            types.addAll(List.of("types.pair", "types.pair", "types.pair[]"));
        }
        if (features.contains(Feature.TYPES_OF_STRANGERS)) {
            types.addAll(List.of("types.mood", "types.small", "types.label", "types.bag"));
        }
        int count = 2 + random.nextInt(4);
        for (int i = 0; i < count; i++) {
            // among them the names of rows and variables in compiled triggers; no name comes twice
            String name = oneIn(5)
                    ? List.of(
                                    one("new", "_new", "codes"),
                                    one("old", "_old", "_row", "olds"),
                                    one("_n", "_o", "_a", "_b", "r", "_pair"),
                                    one("at", "rn", "place", "_hit", "_judge", "fired", "hits"),
                                    one("q\"uote", "new_rows", "tg_op"))
                            .get(i)
                    : "c" + i;
            columns.add(new Column(name, i == 0 ? "int" : i == 1 ? "text" : types.get(random.nextInt(types.size()))));
        }
        if (features.contains(Feature.GENERATED_COLUMNS) && oneIn(3)) {
            columns.add(new Column("g", "int"));
        }
    }

    private String definition(Column column) {
        return column.quoted() + " " + column.type()
                + (column.name().equals("g")
                        ? " generated always as (" + columns.get(0).quoted() + " * 2) stored"
                        : "");
    }

    /** The columns, where none is dropped. */
    private String definitions() {
        return "rid int not null, k int not null, "
                + columns.stream().map(this::definition).collect(Collectors.joining(", "));
    }

    private void create(String name, List<String> definitions, String more) {
        List<String> all = new ArrayList<>(definitions);
        boolean drops = features.contains(Feature.DROPPED_COLUMNS)
                && (features.contains(Feature.GENERATED_BESIDE_DROPPED_COLUMNS) || columns.size() == written.size())
                && oneIn(3);
        if (drops) {
            all.add(random.nextInt(definitions.size() + 1), "gone text default 'x'");
        }
        tables.add("create table " + name + " (" + String.join(", ", all) + ")" + more);
        if (drops) {
            tables.add("alter table " + name + " drop column gone");
        }
    }

    private List<String> inOrder(String... more) {
        List<String> definitions = new ArrayList<>(List.of("rid int not null", "k int not null"));
        columns.forEach(c -> definitions.add(definition(c)));
        definitions.addAll(List.of(more));
        return definitions;
    }

    private List<String> shuffled() {
        List<String> definitions = inOrder();
        Collections.shuffle(definitions, random);
        return definitions;
    }

    private void makeTables() {
        switch (kind) {
            case PLAIN -> create(table, inOrder(), "");
            case KEY -> create(table, inOrder("primary key (k)"), "");
            case DEFERRABLE_KEY -> create(table, inOrder("primary key (k) deferrable"), "");
            case PARTITIONED -> {
                create(table, inOrder("primary key (k)"), " partition by range (k)");
                if (oneIn(2)) {
                    tables.add("create table " + name("_a") + " partition of " + table
                            + " for values from (minvalue) to (500)");
                } else {
                    create(name("_a"), shuffled(), "");
                    tables.add("alter table " + table + " attach partition " + name("_a")
                            + " for values from (minvalue) to (500)");
                }
                tables.add("create table " + name("_b") + " partition of " + table
                        + " for values from (500) to (maxvalue) partition by hash (k)");
                tables.add("create table " + name("_b0") + " partition of " + name("_b")
                        + " for values with (modulus 2, remainder 0)");
                tables.add("create table " + name("_b1") + " partition of " + name("_b")
                        + " for values with (modulus 2, remainder 1)");
                places.add(new Place(name("_a"), 0, 499));
                places.add(new Place(name("_b"), 500, 1000));
                places.add(new Place(name("_b0"), 500, 1000));
            }
            case PARTITIONED_WITHOUT_KEY -> {
                create(table, inOrder(), " partition by list (k)");
                tables.add(
                        "create table " + name("_a") + " partition of " + table + " for values in (1, 2, 3, 4, 5, 6)");
                create(name("_b"), shuffled(), "");
                tables.add("alter table " + table + " attach partition " + name("_b") + " default");
                places.add(new Place(name("_a"), 1, 6));
                places.add(new Place(name("_b"), 7, 12));
            }
            case CHILDREN -> {
                create(table, inOrder("primary key (k)"), "");
                // extra can be checked against its row
                tables.add("create table " + name("_c")
                        + " (extra int generated always as (rid * 10) stored, primary key (k)) inherits (" + table
                        + ")");
                recorded.add(name("_c"));
                boolean deep = features.contains(Feature.CHILDREN_OF_CHILDREN);
                if (!deep || features.contains(Feature.WRITES_THROUGH_A_CHILD_WITH_CHILDREN)) {
                    places.add(new Place(name("_c"), 0, 1000));
                }
                if (deep) {
                    tables.add("create table " + name("_d") + " (primary key (k)) inherits (" + name("_c") + ")");
                    recorded.add(name("_d"));
                    places.add(new Place(name("_d"), 0, 1000));
                }
            }
            case PARTITION -> {
                create(root, inOrder("primary key (k)"), " partition by range (k)");
                String more = " for values from (minvalue) to (500)";
                if (oneIn(2)) {
                    tables.add("create table " + table + " partition of " + root + more);
                } else {
                    tables.add("create table " + table + " partition of " + root + more + " partition by hash (k)");
                    tables.add("create table " + name("_0") + " partition of " + table
                            + " for values with (modulus 2, remainder 0)");
                    tables.add("create table " + name("_1") + " partition of " + table
                            + " for values with (modulus 2, remainder 1)");
                    places.add(new Place(name("_0"), 0, 499));
                }
                tables.add("create table " + name("_other") + " partition of " + root
                        + " for values from (500) to (maxvalue)");
                places.add(new Place(root, 0, 1000));
                places.add(new Place(root, 0, 1000));
            }
        }
        places.add(
                0,
                kind == Kind.PARTITION
                        ? new Place(table, 0, 499)
                        : kind == Kind.PARTITIONED_WITHOUT_KEY ? new Place(table, 1, 12) : new Place(table, 0, 1000));
        recorded.add(0, table);
        tables.add("create function @S.whole(@S." + table.substring(3)
                + ") returns boolean language sql stable as $$ select $1."
                + columns.get(0).quoted() + " operator(pg_catalog.>) 5 or $1."
                + columns.get(1).quoted()
                + " operator(pg_catalog.=) '7' $$");
    }

    /** A trigger of the user that changes a row before it is written, skips it, or writes to other rows after it. */
    private void makeUserTrigger() {
        if (!features.contains(Feature.WRITING_TRIGGERS) || !oneIn(3)) {
            return;
        }
        String c0 = columns.get(0).quoted();
        String c1 = columns.get(1).quoted();
        boolean before = random.nextBoolean();
        // a row that is skipped on its way to another partition is gone, see docs/semantics.md
        String skip = isPartitioned() ? "" : "elsif new." + c0 + " operator(pg_catalog.=) 8 then return null;";
        tables.add("create function @S.user_trigger() returns trigger language plpgsql as $fn$ begin "
                + (before
                        ? "if new." + c0 + " operator(pg_catalog.=) 3 then new." + c0 + " := 12; " + skip
                                + " end if; return new;"
                        : "if pg_trigger_depth() operator(pg_catalog.<) 2 then update " + table + " set " + c1
                                + " = 'again', " + c0 + " = new." + c0
                                + " where rid operator(pg_catalog.=) (new.rid operator(pg_catalog.-) 2); end if; return null;")
                + " end $fn$");
        for (String watched : recorded) {
            tables.add("create trigger " + one("a_user", "z_user") + (before ? " before" : " after")
                    + one(" insert", " update", " insert or update") + " on " + watched
                    + " for each row execute function @S.user_trigger()");
        }
    }

    private void chooseTriggers() {
        if (!isPartitioned() && kind != Kind.PARTITION) {
            steps.add(new ForEach(one("statement", "row")));
        }
    }

    // --- rules ---

    private String condition(int depth, boolean mayCompare) {
        if (depth > 0 && random.nextInt(2) == 0) {
            return "(%s) %s (%s)"
                    .formatted(
                            condition(depth - 1, mayCompare),
                            one("and", "or", "and not"),
                            condition(depth - 1, mayCompare));
        }
        if (oneIn(8)
                && features.contains(Feature.WHOLE_ROWS)
                && (features.contains(Feature.WHOLE_ROWS_BESIDE_A_COLUMN_NEW)
                        || columns.stream().noneMatch(c -> c.name().equals("new")))) {
            return "@S.whole(@NEW)";
        }
        Column column = columns.get(random.nextInt(columns.size()));
        String value = one("NEW.", "NEW.", "new.", mayCompare ? "OLD." : "NEW.") + column.quoted();
        if (oneIn(8)) {
            return value + " is " + one("", "not ") + "null";
        }
        if (oneIn(20)
                && List.of("int", "text", "numeric", "timestamptz", "bytea").contains(column.type())) {
            return value + " = null";
        }
        String number = String.valueOf(random.nextInt(10));
        return switch (column.type()) {
            case "int", "bigint", "numeric", "float8", "float4", "types.small" ->
                switch (random.nextInt(mayCompare ? 8 : 7)) {
                    case 0, 1 -> value + one(" > ", " < ", " >= ", " <= ", " = ", " <> ") + number;
                    case 2 -> "12 / " + value + " > " + number;
                    case 3 -> value + " > (select max(most) from public.limits where most < " + number + ")";
                    case 4 -> "coalesce(" + value + ", 5) between 2 and " + number + " -- so many %s $1 'quoted\n";
                    case 5 -> value + "::text" + one(" = '" + number + ".1'", " ~ '^\\d+$'", " like '%.%'");
                    case 6 -> "pg_catalog.abs(" + value + ") > " + number;
                    default -> "NEW." + column.quoted() + " > OLD." + column.quoted();
                };
            case "text" ->
                switch (random.nextInt(4)) {
                    case 0 -> value + "::int > " + number;
                    case 1 -> "types.is_number(" + value + ") and " + value + "::int > " + number;
                    case 2 -> value + one(" ~ '^\\d+$'", " ~ '\\\\'", " like '%\\\\%'");
                    default -> value + one(" like '%1%'", " > '4'", " = '7'");
                };
            case "boolean" -> value;
            case "jsonb" -> one(value + "->>'a' > '4'", value + "::text like '% %'", value + " ? 'b'");
            case "json" -> one("(" + value + "->>'a')::int > " + number, value + "::text like '%1.50%'");
            case "int[]" -> number + " = any(" + value + ")";
            case "int4range" ->
                one(value + " @> " + number, "upper(" + value + ") > " + number, "isempty(" + value + ")");
            case "timestamptz" ->
                one(
                        value + " > '2026-06-01 00:00+00'",
                        value + "::text like '2026%'",
                        "extract(hour from " + value + ") > 8",
                        value + "::date = '2026-11-24'");
            case "timestamp" -> one(value + " > '2026-06-01 00:00'", value + "::text like '2026%'");
            case "date" -> one(value + " = '01/02/2026'", value + "::text < '2026-06'");
            case "interval" -> one(value + " > '1 hour'", value + "::text like '%:%'");
            case "bytea" -> one(value + " = '\\x31'", value + "::text like '%x3%'", "length(" + value + ") > 1");
            case "types.pair" ->
                one(
                        "(" + value + ").a > " + number,
                        "(" + value + ").b::int > " + number,
                        value + " = row(" + number + ", 'x', null)::types.pair",
                        value + "::text like '%x%'");
            case "types.pair[]" -> one("(" + value + ")[1].a > " + number, "cardinality(" + value + ") > 1");
            case "types.mood" -> one(value + " > 'a'", value + " = 'b'::types.mood");
            case "types.label" -> one(value + " operator(types.=) 'a=>1'", value + "::text ~ '=>\\d'");
            default -> value + "::text > '8'";
        };
    }

    private Rule newRule(String name) {
        boolean mayCompare = oneIn(3);
        String condition = condition(2, mayCompare);
        boolean compares = condition.contains("OLD.");
        List<String> operations = new ArrayList<>(List.of("insert", "update", "delete"));
        while (operations.size() > 1 && random.nextBoolean()) {
            operations.remove(random.nextInt(operations.size()));
        }
        if (operations.equals(List.of("delete")) && condition.toUpperCase().contains("NEW")) {
            operations.add("update");
        }
        List<Column> watched = new ArrayList<>(columns);
        if (random.nextBoolean()) {
            // an insert of a row that has this column alone is rare
            watched = new ArrayList<>(List.of(columns.get(random.nextInt(columns.size()))));
        }
        while (watched.size() > 1 && random.nextBoolean()) {
            watched.remove(random.nextInt(watched.size()));
        }
        boolean notifies = oneIn(3);
        return new Rule(
                name,
                oneIn(3) ? "too \"much\" {{rule}} %s é😀" : null,
                one("info", "warning", "critical"),
                notifies ? "property" : one("channel_1", "another \\ one"),
                condition,
                one("once", "once", "every", "changed"),
                watched,
                !compares && oneIn(3),
                operations,
                notifies);
    }

    private void putRule() {
        put(newRule("rule '\" %s {é😀} " + names++));
    }

    private void put(Rule rule) {
        rules.put(rule.name(), rule);
        steps.add(new Put(rule));
    }

    private void changeRule() {
        if (rules.isEmpty() || oneIn(3)) {
            putRule();
            return;
        }
        String name = List.copyOf(rules.keySet()).get(random.nextInt(rules.size()));
        if (random.nextBoolean()) {
            put(newRule(name));
        } else {
            rules.remove(name);
            steps.add(new Remove(name, random.nextBoolean()));
        }
    }

    // --- what is written ---

    private void changeSettings(int session) {
        steps.add(new Session(
                session,
                one(
                        "set standard_conforming_strings = off",
                        "set standard_conforming_strings = off",
                        "set bytea_output = escape",
                        "set intervalstyle = iso_8601",
                        "set timezone = 'Asia/Kolkata'",
                        "set timezone = 'America/New_York'",
                        "set extra_float_digits = -15",
                        "set extra_float_digits = 0",
                        "set search_path = evil, pg_catalog, public",
                        "set search_path = evil, pg_catalog, public",
                        "set transform_null_equals = on",
                        "set quote_all_identifiers = on",
                        "set array_nulls = off",
                        "set xmloption = document",
                        "set timezone_abbreviations = 'India'",
                        "set enable_hashjoin = off",
                        "set enable_mergejoin = off",
                        "set enable_nestloop = off",
                        "set plan_cache_mode = force_generic_plan",
                        "set default_transaction_isolation = 'repeatable read'",
                        "set role writer_of_a_property",
                        "reset role",
                        "reset search_path",
                        "reset all")));
    }

    private void transaction() {
        if (random.nextInt(3) > 0) {
            write(0, -1);
            return;
        }
        session(0, oneIn(4) ? "begin isolation level serializable" : "begin");
        write(0, -1);
        if (random.nextBoolean()) {
            session(0, "savepoint s");
            write(0, -1);
            session(0, one("rollback to s", "release s"));
            write(0, -1);
        }
        session(0, oneIn(4) ? "rollback" : "commit");
    }

    /** Two transactions at a time. One writes even rows, the other odd ones, so that none waits for the other. */
    private void twoTransactions() {
        session(0, "begin");
        if (random.nextBoolean()) {
            session(1, "begin");
        }
        for (int i = 2 + random.nextInt(4); i > 0; i--) {
            int which = random.nextInt(2);
            write(which, which);
        }
        int first = random.nextInt(2);
        session(first, oneIn(4) ? "rollback" : "commit");
        if (random.nextBoolean()) {
            write(1 - first, 1 - first);
        }
        session(1 - first, oneIn(4) ? "rollback" : "commit");
    }

    private void session(int session, String sql) {
        steps.add(new Session(session, sql));
    }

    /** parity: of the rows that may be written, -1 for any. */
    private void write(int session, int parity) {
        Place place = places.get(random.nextInt(places.size()));
        String mine = parity < 0 ? "" : " and rid % 2 = " + parity;
        String some = " where rid % " + (1 + random.nextInt(4)) + " = " + random.nextInt(2) + mine;
        String into = "insert into %s (rid, k, %s) ".formatted(place.name(), namesOf(written));
        String sql = switch (random.nextInt(12)) {
            case 0, 1, 2 -> into + "values " + values(1 + random.nextInt(8), place, parity);
            case 3, 4 -> "update " + place.name() + " set " + assignments() + some;
            case 5 -> "update " + place.name() + " set k = 1000 - k, " + assignments() + some;
            case 6 ->
                kind == Kind.KEY || kind == Kind.PARTITIONED || kind == Kind.CHILDREN || kind == Kind.PARTITION
                        ? into + "select * from (values " + values(1 + random.nextInt(8), place, parity)
                                + ") v on conflict (k) do update set "
                                + written.stream()
                                        .filter(c -> random.nextBoolean() || c == columns.get(0))
                                        .map(c -> c.quoted() + " = excluded." + c.quoted())
                                        .collect(Collectors.joining(", "))
                        : "update " + place.name() + " set " + assignments() + " where true" + mine;
            case 7 -> "delete from " + place.name() + some;
            case 8, 9 ->
                features.contains(Feature.MERGE)
                        ? merge(place, parity)
                        : "update " + place.name() + " set " + assignments() + some;
            case 10 ->
                switch (random.nextInt(parity < 0 ? 5 : 2)) {
                    case 0 ->
                        "with u as (update %1$s set %2$s where rid %% 4 = %4$d) update %1$s set %3$s where rid %% 4 = %5$d"
                                .formatted(
                                        place.name(),
                                        assignments(),
                                        assignments(),
                                        Math.max(parity, 0),
                                        Math.max(parity, 0) + 2);
                    case 1 ->
                        "do $$ begin for i in 0 .. 3 loop begin update %s set %s where rid operator(pg_catalog.=) (i * 2 + %d); exception when division_by_zero then null; end; end loop; end $$"
                                .formatted(place.name(), assignments(), Math.max(parity, 0));
                    case 2 -> oneIn(2) ? "truncate " + table : "update " + table + " set " + assignments();
                    case 3 -> {
                        int many = 400;
                        int first = rows += 2 + rows % 2;
                        rows += many + 1;
                        yield "insert into %s (rid, k, %s, %s) select %d + i, %d + i, i %% 10, (i %% 12)::text from generate_series(1, %d) i"
                                .formatted(
                                        root,
                                        columns.get(0).quoted(),
                                        columns.get(1).quoted(),
                                        first,
                                        100_000 + first,
                                        many);
                    }
                    default -> {
                        int x = place.from() + random.nextInt(place.to() - place.from());
                        yield "update %1$s set k = case k when %2$d then %3$d when %3$d then %2$d else k end, %4$s where k in (%2$d, %3$d)"
                                .formatted(place.name(), x, x + 2, assignments());
                    }
                };
            default -> copy(place, parity);
        };
        if (features.contains(Feature.SETTINGS)
                && features.contains(Feature.DATE_STYLES)
                && oneIn(10)
                && !sql.startsWith("copy")) {
            // within a block: pgjdbc closes a connection that ends a statement with another style
            sql = "do $date$ begin perform pg_catalog.set_config('datestyle', '"
                    + one("German", "SQL, DMY", "Postgres, YMD") + "', true); " + sql
                    + "; perform pg_catalog.set_config('datestyle', 'ISO, MDY', true); end $date$";
        }
        steps.add(new Write(session, sql));
    }

    private String copy(Place place, int parity) {
        return keys(1 + random.nextInt(5), place, parity).entrySet().stream()
                .map(e -> e.getValue() + "\t" + e.getKey() + "\t" + random.nextInt(10) + "\n")
                .collect(Collectors.joining(
                        "",
                        "copy %s (rid, k, %s) from stdin\n"
                                .formatted(place.name(), columns.get(0).quoted()),
                        ""));
    }

    private String merge(Place place, int parity) {
        StringBuilder sql = new StringBuilder("merge into %s x using (values %s) v (rid, k, %s) on x.k = v.k"
                .formatted(place.name(), values(1 + random.nextInt(8), place, parity), namesOf(written)));
        boolean mixes = features.contains(Feature.MERGE_THAT_MIXES) || !isPartitioned();
        boolean inserts = random.nextBoolean();
        // by the key of the row, so that the rows of one session stay its own
        String other = parity < 0 ? "" : " and x.rid % 2 = " + parity;
        if (!inserts || mixes) {
            boolean deletes = oneIn(3);
            if (deletes) {
                sql.append(" when matched and v.rid % 3 = 0").append(other).append(" then delete");
            }
            // a row that comes after a deleted one is another, where no key tells: docs/semantics.md
            String moves = oneIn(3) && !(deletes && isPartitioned()) ? "k = 1000 - x.k, " : "";
            sql.append(" when matched")
                    .append(other)
                    .append(" then update set ")
                    .append(moves)
                    .append(written.stream()
                            .filter(c -> random.nextBoolean() || c == columns.get(0))
                            .map(c -> c.quoted() + " = v." + c.quoted())
                            .collect(Collectors.joining(", ")));
        }
        if (inserts) {
            sql.append(" when not matched then insert (rid, k, %s) values (v.rid, v.k, %s)"
                    .formatted(
                            namesOf(written),
                            written.stream().map(c -> "v." + c.quoted()).collect(Collectors.joining(", "))));
        }
        return sql.toString();
    }

    private static String namesOf(List<Column> columns) {
        return columns.stream().map(Column::quoted).collect(Collectors.joining(", "));
    }

    private String values(int count, Place place, int parity) {
        return keys(count, place, parity).entrySet().stream()
                .map(e -> "(" + e.getValue() + ", " + e.getKey() + ", "
                        + written.stream().map(this::value).collect(Collectors.joining(", ")) + ")")
                .collect(Collectors.joining(", "));
    }

    /**
     * Keys and numbers of new rows. The key is even where the number is, and stays so: of two sessions each keeps to
     * its own.
     */
    private Map<Integer, Integer> keys(int count, Place place, int parity) {
        Map<Integer, Integer> numbers = new LinkedHashMap<>();
        for (int i = 0; i < count; i++) {
            int rid = rows++;
            if (parity >= 0 && rid % 2 != parity) {
                rid = rows++;
            }
            // seldom any number, often one of a few, so that merges and upserts find rows
            int width = place.to() - place.from() + 1;
            int near = random.nextInt(oneIn(3) ? width : Math.min(width, 24));
            int key = random.nextBoolean() ? place.from() + near : place.to() - near;
            key += (key + rid) % 2 == 0 ? 0 : key < place.to() ? 1 : -1;
            numbers.putIfAbsent(key, rid);
        }
        return numbers;
    }

    private String assignments() {
        List<Column> some = written.stream().filter(c -> random.nextInt(3) > 0).toList();
        return (some.isEmpty() ? written : some)
                .stream().map(c -> c.quoted() + " = " + value(c)).collect(Collectors.joining(", "));
    }

    private String pair() {
        return "row(" + one("null", "1", "7") + ", " + one("null", "'x'", "'8'", "'a,\"b'") + ", "
                + one("null", "null", "'2026-11-24 08:00+02'") + ")::types.pair";
    }

    private String value(Column column) {
        int n = random.nextInt(11) - 1;
        String value = oneIn(6)
                ? "null"
                : switch (column.type()) {
                    case "int", "bigint" -> String.valueOf(n);
                    case "types.small" -> String.valueOf(Math.max(n, 0));
                    case "numeric" ->
                        oneIn(5)
                                ? one("'NaN'", "'Infinity'", "'-Infinity'", "1e30", "-0.0")
                                : n + one("", ".0", ".00", ".50", ".123456789012345678901234567890");
                    case "float8", "float4" -> one(n + ".1", "'NaN'", "'Infinity'", "'-0'", "1e-30", "0.1", "1e30");
                    case "text" -> "'" + n + one("", "", "x", "'' \\ \"é😀", "\\\\d") + "'";
                    case "boolean" -> one("true", "false");
                    case "jsonb", "json" ->
                        "'{\"a\": " + one(n + "", "\"x\"", "1.50", "1e2", "-0.0", "null") + ", \"b\": [1,  2]}'";
                    case "int[]" -> "array[" + n + ", 5, null]";
                    case "int4range" ->
                        one("'empty'", "int4range(" + n + ", " + (n + 3) + ")", "int4range(" + n + ", null)");
                    case "timestamptz" ->
                        one(
                                "'2026-01-01 12:00:00.123456+00'",
                                "'2026-11-24 08:00+02'",
                                "'infinity'",
                                "'0044-03-15 12:00+00 BC'");
                    case "timestamp" -> one("'2026-01-01 12:00:00.123456'", "'-infinity'", "'2026-07-01'");
                    case "date" -> one("'2026-01-02'", "'2026-12-31'", "'infinity'");
                    case "interval" -> one("'1 day 02:03:04.5'", "'90 minutes'", "'-1 year 3 days'");
                    case "bytea" ->
                        one("decode('3" + Math.max(n, 0) % 10 + "', 'hex')", "decode('00ff5c27', 'hex')", "''");
                    case "types.pair" -> pair();
                    case "types.pair[]" -> "array[" + pair() + ", " + pair() + "]";
                    case "types.mood" -> one("'a'", "'b'", "'c'");
                    case "types.label" -> one("'a=>1'", "'b=>\"x\"'", "'c'");
                    case "types.bag" -> one("'" + n + "'", "'{\"x\": 1e2}'", "'[1, 2]'");
                    default -> "md5('" + n + "')";
                };
        return value.endsWith("::" + column.type()) ? value : "(" + value + ")::" + column.type();
    }
}
