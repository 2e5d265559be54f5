package dev.rowbell.feedback;

import dev.rowbell.alert.AlertReader;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.camel.component.sql.DefaultRowMapperFactory;
import org.springframework.jdbc.core.ColumnMapRowMapper;
import org.springframework.jdbc.core.RowMapper;

/** Makes an alert of each row of the feedback table, and tells its poll the time of the row. For the thread that polls. */
public final class AlertRows extends DefaultRowMapperFactory {

    private final AlertReader alerts;
    private final FeedbackTransaction transaction;

    /** @param transaction whose polls read them */
    public AlertRows(AlertReader alerts, FeedbackTransaction transaction) {
        this.alerts = alerts;
        this.transaction = transaction;
    }

    /** Called for each result, before its first row is read. */
    @Override
    public RowMapper<Map<String, Object>> newColumnRowMapper() {
        transaction.answered();
        return new Rows();
    }

    private final class Rows implements RowMapper<Map<String, Object>> {

        private final RowMapper<Map<String, Object>> columns = new ColumnMapRowMapper();
        /** Places of the columns; 0 where the result has none. */
        private int document;

        private int time;

        @Override
        public Map<String, Object> mapRow(ResultSet rows, int number) throws SQLException {
            if (number == 0) {
                Set<String> names = names(rows.getMetaData());
                document = names.contains("alert") && !names.contains("feedback") ? rows.findColumn("alert") : 0;
                time = names.contains("crt_time") ? rows.findColumn("crt_time") : 0;
            }
            if (rows.isLast()) {
                transaction.taken(number + 1, time > 0 ? rows.getObject(time) : null);
            }
            Map<String, Object> alert = alerts.fromTrigger(document > 0 ? rows.getString(document) : null);
            return alert != null ? alert : alerts.fromRow(columns.mapRow(rows, number));
        }

        private static Set<String> names(ResultSetMetaData columns) throws SQLException {
            Set<String> names = new HashSet<>();
            for (int i = 1; i <= columns.getColumnCount(); i++) {
                names.add(columns.getColumnLabel(i));
            }
            return names;
        }
    }
}
