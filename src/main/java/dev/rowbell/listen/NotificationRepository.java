package dev.rowbell.listen;

import java.sql.Timestamp;
import java.util.List;
import org.springframework.jdbc.core.simple.JdbcClient;

/** The table {@code rowbell.notification}. Its methods throw a DataAccessException where the database fails. */
final class NotificationRepository {

    /** How many are taken in one transaction at most. */
    static final int AT_ONCE = 1000;

    private NotificationRepository() {}

    static void insert(JdbcClient jdbc, List<Notification> notifications) {
        if (!notifications.isEmpty()) {
            jdbc.sql("""
                            insert into rowbell.notification (id, channel, payload, arrived)
                            select id, channel, payload, arrived
                            from unnest(?, ?, ?, ?) as n (id, channel, payload, arrived)
                            """)
                    .param(notifications.stream().map(Notification::id).toArray(String[]::new))
                    .param(notifications.stream().map(Notification::channel).toArray(String[]::new))
                    .param(notifications.stream().map(Notification::payload).toArray(String[]::new))
                    .param(notifications.stream()
                            .map(one -> Timestamp.from(one.arrived()))
                            .toArray(Timestamp[]::new))
                    .update();
        }
    }

    /** Up to {@link #AT_ONCE} of those of the channels, the oldest first. They are gone when the transaction commits. */
    static List<Notification> take(JdbcClient jdbc, List<String> channels) {
        return jdbc.sql("""
                        with taken as (
                          delete from rowbell.notification
                          where ctid = any(array(
                            select ctid
                            from rowbell.notification
                            where channel = any(?)
                            order by id
                            limit ?
                            for update skip locked))
                          returning id, channel, payload, arrived)
                        select id, channel, payload, arrived from taken order by id
                        """)
                .param(channels.toArray(String[]::new))
                .param(AT_ONCE)
                .query((row, number) -> new Notification(
                        row.getString(1),
                        row.getString(2),
                        row.getString(3),
                        row.getTimestamp(4).toInstant()))
                .list();
    }
}
