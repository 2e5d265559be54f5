package dev.rowbell.database;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/** Looks at the database that the settings name, and changes nothing in it. */
public final class Checkup {

    /** What was found: {@code ok}, {@code note} or {@code wrong}, and a sentence about it. */
    public record Finding(String level, String sentence) {

        public boolean isWrong() {
            return level.equals("wrong");
        }
    }

    private static final Duration CLOCKS = Duration.ofSeconds(5);
    /** Connections beside those of the pool: listeners, and the start. */
    private static final int BESIDE_THE_POOL = 5;

    private final Settings settings;
    private final List<Finding> findings = new ArrayList<>();

    private Checkup(Settings settings) {
        this.settings = settings;
    }

    /** @param feeds as the rules name them */
    public static List<Finding> of(Settings settings, List<String> feeds) {
        Checkup checkup = new Checkup(settings);
        if (!settings.isSet("rowbell.jdbc.url")) {
            checkup.note("rowbell.jdbc.url is empty: Rowbell starts an embedded PostgreSQL, which is for trials");
            return checkup.findings;
        }
        try (Database database = Database.inspect(settings);
                Connection connection = database.pool().getConnection()) {
            checkup.ok("connected to %s as %s: PostgreSQL %s"
                    .formatted(database.shownUrl(), database.role(), database.version()));
            JdbcClient jdbc = JdbcClient.create(new SingleConnectionDataSource(connection, true));
            checkup.sessions(database, jdbc);
            checkup.clocks(jdbc);
            checkup.roles(database, jdbc);
            checkup.schema(database, jdbc);
            checkup.feedbackTable(connection, database);
            feeds.forEach(feed -> checkup.feed(feed, database, jdbc));
        } catch (SettingsException e) {
            checkup.wrong(e.getMessage());
        } catch (SQLException | DataAccessException e) {
            checkup.wrong("rowbell.jdbc.url: " + Errors.inWords(e));
        }
        return checkup.findings;
    }

    private void sessions(Database database, JdbcClient jdbc) {
        if (database.isShared()) {
            note("a pooler in transaction mode is in front of the database (see docs/schema.md, Behind a pooler)");
        }
        try (Connection listening = database.listening().getConnection();
                Statement statement = listening.createStatement()) {
            statement.execute("listen rowbell_doorbell");
            ok("it can listen");
        } catch (SQLException e) {
            wrong("it cannot listen: " + Errors.inWords(e));
        }
        if (settings.isSet("rowbell.query.url") || settings.isSet("rowbell.query.user")) {
            try (Connection querying = database.querying().getConnection()) {
                ok("it can run queries of rules as " + querying.getMetaData().getUserName());
            } catch (SQLException e) {
                wrong("rowbell.query.url, rowbell.query.user: " + Errors.inWords(e));
            }
        }
        int needed = settings.number("rowbell.jdbc.pool-size", 2) + BESIDE_THE_POOL;
        jdbc.sql("select rolconnlimit from pg_roles where rolname = current_user and rolconnlimit between 0 and ?")
                .param(needed - 1)
                .query(Integer.class)
                .optional()
                .ifPresent(limit -> wrong(
                        "%1$s may have %2$d connections and Rowbell opens up to %3$d: alter role %1$s connection limit %3$d, or set a smaller rowbell.jdbc.pool-size"
                                .formatted(database.role(), limit, needed)));
        jdbc.sql("""
                        select datconnlimit
                        from pg_database, pg_roles
                        where datname = current_database() and rolname = current_user and not rolsuper and datconnlimit between 0 and ?
                        """)
                .param(needed - 1)
                .query(Integer.class)
                .optional()
                .ifPresent(limit -> wrong(
                        "the database %1$s may have %2$d connections and Rowbell opens up to %3$d: alter database %1$s connection limit %3$d, or more"
                                .formatted(database.name(), limit, needed)));
    }

    private void clocks(JdbcClient jdbc) {
        Instant before = Instant.now();
        Instant server = jdbc.sql("select clock_timestamp()")
                .query(OffsetDateTime.class)
                .single()
                .toInstant();
        Duration ahead = Duration.between(server, before);
        if (ahead.abs().compareTo(CLOCKS) > 0) {
            wrong("the clock of this machine is %d s %s that of the database: let both keep the time by NTP"
                    .formatted(ahead.abs().toSeconds(), ahead.isNegative() ? "behind" : "ahead of"));
        }
    }

    private void roles(Database database, JdbcClient jdbc) {
        Map<String, Object> role = jdbc.sql("""
                        select rolsuper, rolcreaterole, coalesce(has_schema_privilege('public', to_regnamespace('public'), 'create'), false) as open
                        from pg_roles
                        where rolname = current_user
                        """).query().singleRow();
        if (role.get("rolsuper").equals(true)) {
            note(
                    "%s is a superuser: who may change rules may do everything on the server; docs/schema.md has the rights that Rowbell needs"
                            .formatted(database.role()));
        } else if (role.get("rolcreaterole").equals(false)) {
            note(
                    "%s may make no roles: make those of the feeds as docs/security.md says, or conditions run with its rights"
                            .formatted(database.role()));
        }
        if (role.get("open").equals(true)) {
            note("each role may create tables in the schema public: revoke create on schema public from public");
        }
    }

    private void schema(Database database, JdbcClient jdbc) {
        boolean migrate = settings.flag("rowbell.migrate");
        boolean exists = jdbc.sql("select to_regnamespace('rowbell') is not null")
                .query(Boolean.class)
                .single();
        if (!exists) {
            boolean mayCreate = jdbc.sql("select has_database_privilege(current_database(), 'create')")
                    .query(Boolean.class)
                    .single();
            if (!migrate) {
                wrong(
                        "rowbell.migrate=false and there is no schema rowbell: let a DBA apply it as docs/schema.md says");
            } else if (mayCreate) {
                ok("the first start creates the schema rowbell");
            } else {
                wrong("%1$s may not create the schema rowbell: grant create on database %2$s to %1$s"
                        .formatted(database.role(), database.name()));
            }
            return;
        }
        List<String> pending = Schema.pending(database.pool());
        if (pending.isEmpty()) {
            ok("the schema rowbell is up to date");
            jdbc.sql("select feed, problem from rowbell.silent_triggers() order by feed, problem")
                    .query((row, number) -> "feed %s: %s".formatted(row.getString(1), row.getString(2)))
                    .list()
                    .forEach(this::wrong);
        } else if (!migrate) {
            wrong("rowbell.migrate=false and the schema lacks %s: let a DBA apply them as docs/schema.md says"
                    .formatted(String.join(", ", pending)));
        } else {
            note("the next start brings the schema rowbell up to date: " + String.join(", ", pending));
            jdbc.sql("""
                            select pg_get_userbyid(nspowner)
                            from pg_namespace
                            where nspname = 'rowbell' and not pg_has_role(nspowner, 'usage')
                            """)
                    .query(String.class)
                    .optional()
                    .ifPresent(owner -> wrong("the schema rowbell belongs to another role: grant %s to %s"
                            .formatted(owner, database.role())));
        }
    }

    private void feedbackTable(Connection connection, Database database) throws SQLException {
        String table = settings.text("rowbell.feedback.table");
        if (!table.equals("rowbell.feedback")) {
            Schema.feedbackTable(table, connection, database.role());
        }
    }

    private void feed(String feed, Database database, JdbcClient jdbc) {
        try {
            record Relation(boolean isTable, boolean mayWatch) {}
            Relation relation =
                    jdbc.sql("""
                            select relkind in ('r', 'p') as is_table, has_table_privilege(oid, 'trigger') as may_watch
                            from pg_class
                            where oid = to_regclass(?)
                            """).param(feed).query(Relation.class).optional().orElse(null);
            if (relation == null) {
                wrong("feed %s: there is no such table".formatted(feed));
            } else if (!relation.isTable()) {
                wrong("feed %s is no table: a view or a foreign table cannot be watched; name the table behind it"
                        .formatted(feed));
            } else if (!relation.mayWatch()) {
                wrong("feed %1$s: %2$s may not make triggers: grant trigger on %1$s to %2$s"
                        .formatted(feed, database.role()));
            } else {
                ok("feed %s can be watched".formatted(feed));
            }
        } catch (DataAccessException e) {
            wrong("feed %s: %s".formatted(feed, Errors.inWords(e)));
        }
    }

    private void ok(String sentence) {
        findings.add(new Finding("ok", sentence));
    }

    private void note(String sentence) {
        findings.add(new Finding("note", sentence));
    }

    private void wrong(String sentence) {
        findings.add(new Finding("wrong", sentence));
    }
}
