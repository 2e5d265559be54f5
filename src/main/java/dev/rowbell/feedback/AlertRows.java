package dev.rowbell.feedback;

import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

import dev.rowbell.alert.AlertReader;
import org.apache.camel.component.sql.DefaultRowMapperFactory;
import org.springframework.jdbc.core.ColumnMapRowMapper;
import org.springframework.jdbc.core.RowMapper;

/**
 * Makes an alert of each row of the feedback table as soon as it has been read, while the alerts of the poll before are routed, and says to the poll
 * which times they have. Safe for many threads.
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
        private boolean own;
        private int time;

        @Override
        public Map<String, Object> mapRow(ResultSet rows, int number) throws SQLException {
            if (number == 0) {
                Set<String> names = names(rows.getMetaData());
                own = names.contains("alert") && !names.contains("feedback");
                time = names.contains("crt_time") ? rows.findColumn("crt_time") : 0;
                transaction.answered();
            }
            if (time > 0 && rows.isLast()) {
                transaction.last(rows.getObject(time));
            }
            String document = own ? rows.getString("alert") : null;
            Map<String, Object> compiled = alerts.fromTrigger(document);
            if (compiled != null) {
                return compiled;
            }
            Map<String, Object> alert = alerts.fromRow(columns.mapRow(rows, number));
            if (document == null || !document.contains((String) alert.get("id"))) {
                transaction.unrepeatable();
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
