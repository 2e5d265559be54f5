package dev.rowbell.feedback;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;

/**
 * Whether alerts come so thick that the table is looked at all the time, and writers are told that they need not ring. Told in the transaction
 * that takes alerts, for a short time that is extended while the storm lasts; whoever forgets to end it is forgotten. Safe for many threads.
 */
final class Awake {

    /** Alerts a second from which looking all the time costs less than being rung for. */
    private static final int STORM = 200;
    /** Counted for so long at most; and so many are a storm before that time is over. */
    private static final Duration MEASURED = Duration.ofMillis(250);

    private static final int MANY = 50;
    /** How long writers believe it. */
    private static final Duration TOLD = Duration.ofSeconds(1);
    /** Extended when it has so long to go. */
    private static final Duration EXTENDED = Duration.ofMillis(500);
    /** A writer that believed it in the last moment has yet to commit. */
    private static final Duration LAST_COMMITS = Duration.ofMillis(500);

    /** Writers ring for so long after the next poll should have said again that somebody listens. */
    private static final Duration LISTENING = Duration.ofSeconds(30);

    private static final Duration SAID_AGAIN = Duration.ofSeconds(5);
    /** Where alerts have come all the time, so that it was never said when none waited. */
    private static final Duration SAID_AT_LAST = Duration.ofSeconds(15);

    private boolean listening;
    private long listeningSince;
    private long since = System.nanoTime();
    private int taken;
    private boolean storm;
    private boolean told;
    private long toldAt;

    /**
     * Counts the alerts of a transaction that is about to commit.
     *
     * @return whether writers are to be told now
     */
    synchronized boolean isToBeTold(int alerts) {
        long now = System.nanoTime();
        taken += alerts;
        long elapsed = now - since;
        if (elapsed > MEASURED.toNanos()) {
            storm = taken * 1e9 / elapsed > STORM || alerts >= MANY;
            taken = 0;
            since = now;
        } else if (taken >= MANY) {
            storm = true;
        }
        return storm && (!told || now - toldAt > TOLD.minus(EXTENDED).toNanos());
    }

    /**
     * Tells writers, when the transaction commits.
     *
     * @param table the feedback table
     */
    synchronized void tell(Connection connection, String table) throws SQLException {
        // also where it fails: it is tried again when it would be extended
        told = true;
        toldAt = System.nanoTime();
        try (PreparedStatement statement = connection.prepareStatement("""
                insert into rowbell.awake (relation, until)
                values (to_regclass(?), clock_timestamp() + ?::interval)
                on conflict (relation) do update set until = excluded.until
                """)) {
            statement.setString(1, table);
            statement.setString(2, TOLD.toMillis() + " ms");
            statement.executeUpdate();
        }
    }

    /**
     * Whether writers are to be told now that somebody sleeps until they ring.
     *
     * @param idle whether no alert waits meanwhile
     */
    synchronized boolean isListeningToBeSaid(boolean idle) {
        return !listening || System.nanoTime() - listeningSince > (idle ? SAID_AGAIN : SAID_AT_LAST).toNanos();
    }

    /**
     * Tells writers to ring, before the table is looked at: who writes after that rings, and who wrote before is found.
     *
     * @param table the feedback table
     * @param poll how long it may be until the table is looked at again
     */
    synchronized void listen(Connection connection, String table, Duration poll) throws SQLException {
        // also where it fails: it is tried again when it would be said again
        listening = true;
        listeningSince = System.nanoTime();
        try (PreparedStatement statement = connection.prepareStatement("""
                insert into rowbell.awake (relation, listening)
                values (to_regclass(?), clock_timestamp() + ?::interval)
                on conflict (relation) do update set listening = excluded.listening
                """)) {
            statement.setString(1, table);
            statement.setString(2, LISTENING.plus(poll).toMillis() + " ms");
            statement.executeUpdate();
        }
    }

    /** The database was away, and may have forgotten. */
    synchronized void forget() {
        listening = false;
    }

    /** Whether a writer may not have rung because it was told so. */
    synchronized boolean isAwake() {
        if (told && System.nanoTime() - toldAt > TOLD.plus(LAST_COMMITS).toNanos()) {
            told = false;
        }
        return told;
    }
}
