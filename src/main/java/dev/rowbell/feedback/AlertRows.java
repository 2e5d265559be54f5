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

/**
 * Makes an alert of each row of the feedback table as soon as it has been read, while the alerts of the poll before are routed, and tells the poll
 * what it has taken. Safe for many threads.
 */
public final class AlertRows extends DefaultRowMapperFactory {

    private final AlertReader alerts;
    private final FeedbackTransaction transaction;

    /** @param transaction whose poll reads them */
    public AlertRows(AlertReader alerts, FeedbackTransaction transaction) {
        this.alerts = alerts;
        this.transaction = transaction;
    }

    @Override
    public RowMapper<Map<String, Object>> newColumnRowMapper() {
        return new Rows();
    }

    /** Of one query. */
    private final class Rows implements RowMapper<Map<String, Object>> {

        private final RowMapper<Map<String, Object>> columns = new ColumnMapRowMapper();
        /** Null where no poll asks. */
        private Taken taken;
        /** The places of the columns; 0 where there is none to be read. */
        private int document;

        private int time;

        @Override
        public Map<String, Object> mapRow(ResultSet rows, int number) throws SQLException {
            if (number == 0) {
                Set<String> names = names(rows.getMetaData());
                document = names.contains("alert") && !names.contains("feedback") ? rows.findColumn("alert") : 0;
                time = names.contains("crt_time") ? rows.findColumn("crt_time") : 0;
                taken = transaction.taken();
            }
            String text = document > 0 ? rows.getString(document) : null;
            Map<String, Object> alert = alerts.fromTrigger(text);
            if (alert == null) {
                alert = alerts.fromRow(columns.mapRow(rows, number));
                if (text == null || !text.contains((String) alert.get("id"))) {
                    transaction.unrepeatable();
                }
            }
            if (taken != null) {
                taken.add(time > 0 ? rows.getObject(time) : null, alert);
            }
            return alert;
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
