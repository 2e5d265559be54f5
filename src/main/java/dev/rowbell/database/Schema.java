package dev.rowbell.database;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.List;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.MigrationInfo;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Brings the schema {@code rowbell} up to date, or sees that a DBA did, and checks the feedback table. */
final class Schema {

    /** The version of the last of the migrations, which are numbered from 1. */
    static final int NEWEST = 14;

    private static final Logger LOG = LoggerFactory.getLogger(Schema.class);
    private static final String INSUFFICIENT_PRIVILEGE = "42501";

    private Schema() {}

    static void apply(Settings settings, DataSource dataSource, String database) {
        try {
            if (!isCurrent(dataSource)) {
                if (settings.flag("rowbell.migrate")) {
                    flyway(dataSource).migrate();
                } else {
                    missingIsAnError(
                            dataSource,
                            "rowbell.migrate=false, but the schema lacks %s: apply what docs/schema.md says, or set it to true");
                }
            }
            feedbackTable(settings.text("rowbell.feedback.table"), dataSource);
        } catch (FlywayException | SQLException e) {
            throw refused(e, settings, database);
        }
    }

    /** @throws SettingsException where the schema is not up to date */
    static void expect(DataSource dataSource) {
        try {
            if (!isCurrent(dataSource)) {
                missingIsAnError(
                        dataSource,
                        "the schema rowbell lacks %s: start Rowbell once, or apply what docs/schema.md says");
            }
        } catch (FlywayException | SQLException e) {
            throw new SettingsException("the schema rowbell cannot be looked at: " + Errors.inWords(e), e);
        }
    }

    /**
     * Whether the history is that of all migrations, applied one after the other, and of nothing else: then there is nothing for Flyway to do, which
     * takes a tenth of the start to find out for itself. Of anything else it says what it is.
     */
    private static boolean isCurrent(DataSource dataSource) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                Statement statement = connection.createStatement()) {
            try (ResultSet row =
                    statement.executeQuery("select to_regclass('rowbell.flyway_schema_history') is not null")) {
                row.next();
                if (!row.getBoolean(1)) {
                    return false;
                }
            }
            try (ResultSet row = statement.executeQuery("""
                    select bool_and(success and type in ('SQL', 'SCHEMA'))
                      and array_agg(version::text order by installed_rank) filter (where version is not null)
                        = array(select v::text from generate_series(1, %d) v)
                    from rowbell.flyway_schema_history
                    """.formatted(NEWEST))) {
                row.next();
                return row.getBoolean(1);
            }
        }
    }

    private static Flyway flyway(DataSource dataSource) {
        return Flyway.configure(Schema.class.getClassLoader())
                .dataSource(dataSource)
                .defaultSchema("rowbell")
                .schemas("rowbell")
                // not db/migration in the jar: the Flyway of an application that embeds it would take the files for its
                // own
                .locations("classpath:dev/rowbell/migration")
                .placeholderReplacement(false)
                .load();
    }

    private static void missingIsAnError(DataSource dataSource, String message) {
        // not only what is pending, which for Flyway is what comes after the newest that was applied
        List<String> missing = Arrays.stream(flyway(dataSource).info().all())
                .filter(migration -> !migration.getState().isApplied())
                .map(MigrationInfo::getScript)
                .toList();
        if (!missing.isEmpty()) {
            throw new SettingsException(message.formatted(String.join(", ", missing)));
        }
    }

    private static SettingsException refused(Exception e, Settings settings, String database) {
        Throwable cause = e;
        while (cause.getCause() != null && !(cause instanceof SQLException)) {
            cause = cause.getCause();
        }
        String why = String.valueOf(cause.getMessage())
                .lines()
                .findFirst()
                .orElse("")
                .strip();
        if (cause instanceof SQLException sql && INSUFFICIENT_PRIVILEGE.equals(sql.getSQLState())) {
            return new SettingsException(
                    "rowbell.jdbc.user=%s lacks a right on database %s (%s): grant create on the database, or see docs/schema.md for rowbell.migrate=false"
                            .formatted(settings.text("rowbell.jdbc.user"), database, why),
                    e);
        }
        return new SettingsException("the schema rowbell could not be brought up to date: " + why, e);
    }

    private static void feedbackTable(String table, DataSource dataSource) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
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
                            "rowbell.feedback.table=%s: rowbell.jdbc.user needs select, update and delete on it"
                                    .formatted(table));
                } else if (!row.getBoolean(3)) {
                    LOG.warn(
                            "rowbell.feedback.table={} has no index that starts with crt_time: every batch reads the whole table",
                            table);
                }
            }
        }
    }
}
