package dev.rowbell.database;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.MigrationInfo;
import org.flywaydb.core.api.MigrationInfoService;
import org.flywaydb.core.api.MigrationState;
import org.flywaydb.core.api.configuration.FluentConfiguration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.datasource.DelegatingDataSource;

/** Brings the schema {@code rowbell} up to date, or sees that a DBA did, and checks the feedback table. */
final class Schema {

    private static final Logger LOG = LoggerFactory.getLogger(Schema.class);

    private Schema() {}

    /** @param watch tells for which locks the sessions of the data source wait */
    static void apply(Settings settings, DataSource dataSource, LockWatch watch, Database database) {
        Duration patience = settings.duration("rowbell.jdbc.wait");
        try {
            Flyway flyway = flyway(dataSource)
                    .lockRetryCount((int) Math.max(1, patience.toSeconds()))
                    .load();
            MigrationInfoService info = flyway.info();
            refuseForeign(info);
            if (settings.flag("rowbell.migrate")) {
                // any role can take Flyway's lock: it is taken for something to do alone
                if (info.pending().length > 0 || isWrong(info)) {
                    // first, because for a new schema it would ask ten times as often
                    watch.awaitFlyway(patience);
                    flyway.migrate();
                }
            } else {
                refuseIncomplete(
                        info, "rowbell.migrate=false, but ", ": apply what docs/schema.md says, or set it to true");
            }
            try (Connection connection = dataSource.getConnection()) {
                if (settings.flag("rowbell.migrate")) {
                    warnOfMissingRoles(connection);
                }
                feedbackTable(settings.text("rowbell.feedback.table"), connection, database.role());
            }
        } catch (FlywayException | SQLException e) {
            throw refused(e, settings, database, watch.holder());
        }
    }

    /**
     * The files that were not applied yet.
     *
     * @throws SettingsException where the schema is of another Rowbell, or cannot be read
     */
    static List<String> pending(DataSource dataSource) {
        try {
            MigrationInfoService info = flyway(dataSource).load().info();
            refuseForeign(info);
            return Arrays.stream(info.pending()).map(MigrationInfo::getScript).toList();
        } catch (FlywayException e) {
            throw new SettingsException("the schema rowbell cannot be looked at: " + Errors.inWords(e), e);
        }
    }

    /** @throws SettingsException where the schema is not up to date */
    static void expect(DataSource dataSource) {
        try {
            MigrationInfoService info = flyway(dataSource).load().info();
            refuseForeign(info);
            refuseIncomplete(info, "", ": start Rowbell once first, or apply what docs/schema.md says");
        } catch (FlywayException e) {
            throw new SettingsException("the schema rowbell cannot be looked at: " + Errors.inWords(e), e);
        }
    }

    private static FluentConfiguration flyway(DataSource dataSource) {
        return Flyway.configure(Schema.class.getClassLoader())
                .dataSource(new QuotedRole(dataSource))
                .defaultSchema("rowbell")
                .schemas("rowbell")
                // not db/migration: the Flyway of an application that embeds the jar would take the files for its own
                .locations("classpath:dev/rowbell/schema")
                .placeholderReplacement(false);
    }

    /** Flyway sets the role back to the one it found, and writes its name as it is, also where that has a quote. */
    private static final class QuotedRole extends DelegatingDataSource {

        private static final String SET = "SET ROLE '";

        QuotedRole(DataSource dataSource) {
            super(dataSource);
        }

        @Override
        public Connection getConnection() throws SQLException {
            Connection connection = super.getConnection();
            return (Connection) Proxy.newProxyInstance(
                    Schema.class.getClassLoader(), new Class<?>[] {Connection.class}, (proxy, method, arguments) -> {
                        if (method.getName().equals("prepareStatement")
                                && arguments[0] instanceof String sql
                                && sql.startsWith(SET)) {
                            String name = sql.substring(SET.length(), sql.length() - 1);
                            arguments[0] = SET + name.replace("'", "''") + "'";
                        }
                        try {
                            return method.invoke(connection, arguments);
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        }
                    });
        }
    }

    /** A schema of a newer Rowbell must not get the functions of an older one back, and one of before 0.1 has no way up. */
    private static void refuseForeign(MigrationInfoService info) {
        List<MigrationInfo> all = List.of(info.all());
        if (all.stream().anyMatch(migration -> migration.getScript().equals("V1__queues.sql"))) {
            throw new SettingsException(
                    "the schema rowbell is from before the first release and cannot be upgraded:"
                            + " deliver what waits in it, then drop schema rowbell cascade, and start again (see UPGRADING.md)");
        }
        Set<String> newer = new TreeSet<>();
        for (MigrationInfo migration : all) {
            MigrationState state = migration.getState();
            boolean unknown = state == MigrationState.FUTURE_SUCCESS || state == MigrationState.MISSING_SUCCESS;
            // this jar's file was applied, and another one in its place since
            boolean replaced = state == MigrationState.SUPERSEDED
                    && all.stream()
                            .anyMatch(present -> present.getState() == MigrationState.OUTDATED
                                    && present.getScript().equals(migration.getScript())
                                    && Objects.equals(present.getResolvedChecksum(), migration.getAppliedChecksum()));
            if (unknown || replaced) {
                newer.add(migration.getScript());
            }
        }
        if (!newer.isEmpty()) {
            throw new SettingsException(
                    "the schema rowbell is of a newer Rowbell than this one (%s): start that one (see UPGRADING.md)"
                            .formatted(String.join(", ", newer)));
        }
    }

    /** Whether a file failed, or a versioned one was applied that this jar has in another form; migrating says so. */
    private static boolean isWrong(MigrationInfoService info) {
        return Arrays.stream(info.applied())
                .anyMatch(migration -> migration.getState().isFailed()
                        || migration.getVersion() != null && !migration.isChecksumMatching());
    }

    private static void refuseIncomplete(MigrationInfoService info, String why, String advice) {
        if (info.pending().length > 0) {
            String lacking =
                    Arrays.stream(info.pending()).map(MigrationInfo::getScript).collect(Collectors.joining(", "));
            String what = info.applied().length == 0
                    ? "the database has no schema rowbell yet"
                    : "the schema rowbell lacks " + lacking;
            throw new SettingsException(why + what + advice);
        }
    }

    /** A database that was restored from a dump has none of its roles, so the one that checks conditions is made again. */
    private static void warnOfMissingRoles(Connection connection) throws SQLException {
        try (PreparedStatement making = connection.prepareStatement("select rowbell.make_role(0)");
                PreparedStatement asking =
                        connection.prepareStatement("select current_user, rowbell.role_of(0), rowbell.has_role(0)")) {
            making.execute();
            ResultSet row = asking.executeQuery();
            row.next();
            if (!row.getBoolean(3)) {
                LOG.warn(
                        "conditions run with the rights of {}, who may make no roles:"
                                + " grant createrole, or make {} as docs/security.md says",
                        row.getString(1),
                        row.getString(2));
            }
        }
    }

    /** @param holder the session that held the lock; null where the start did not wait for a lock */
    private static SettingsException refused(Exception e, Settings settings, Database database, String holder) {
        Throwable cause = e;
        while (cause.getCause() != null && !(cause instanceof SQLException)) {
            cause = cause.getCause();
        }
        String why = String.valueOf(cause.getMessage())
                .lines()
                .findFirst()
                .orElse("")
                .strip();
        if (cause instanceof SQLException sql && Database.FORBIDDEN.equals(sql.getSQLState())) {
            return new SettingsException(
                    settings.flag("rowbell.migrate")
                            ? "rowbell.jdbc.user=%s lacks a right on database %s (%s): grant create on the database to it, and the role that owns the schema rowbell where there is one, or see docs/schema.md for rowbell.migrate=false"
                                    .formatted(database.role(), database.name(), why)
                            : "the schema rowbell cannot be read (%s): %s (see docs/schema.md)"
                                    .formatted(why, database.grant(sql)),
                    e);
        }
        if (holder != null) {
            why = "waited %s (rowbell.jdbc.wait) for %s".formatted(settings.text("rowbell.jdbc.wait"), holder);
        }
        return new SettingsException("the schema rowbell could not be brought up to date: " + why, e);
    }

    /** @throws SettingsException where it cannot be used */
    static void feedbackTable(String table, Connection connection, String role) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("""
                        select c.relkind = 'r' and not c.relhassubclass,
                          exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'crt_time' and not a.attisdropped),
                          exists (
                            select from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
                            where i.indrelid = c.oid and a.attname = 'crt_time'),
                          has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete')
                        from pg_class c where c.oid = to_regclass(?)
                        """)) {
            statement.setString(1, table);
            try (ResultSet row = statement.executeQuery()) {
                if (!row.next()) {
                    throw new SettingsException("rowbell.feedback.table=%s: there is no such table".formatted(table));
                } else if (!row.getBoolean(1)) {
                    // rows are taken by ctid, which says nothing about the partition
                    throw new SettingsException(
                            "rowbell.feedback.table=%s: must be an ordinary table, without partitions or children"
                                    .formatted(table));
                } else if (!row.getBoolean(2)) {
                    throw new SettingsException("rowbell.feedback.table=%s: has no column crt_time".formatted(table));
                } else if (!row.getBoolean(4)) {
                    throw new SettingsException(
                            "rowbell.feedback.table=%1$s: a right is missing: grant select, update, delete on %1$s to %2$s"
                                    .formatted(table, role));
                } else if (!row.getBoolean(3)) {
                    LOG.warn(
                            "rowbell.feedback.table={} has no index that starts with crt_time, so every batch reads the whole table:"
                                    + " create index on {} (crt_time)",
                            table,
                            table);
                }
            }
        }
    }
}
