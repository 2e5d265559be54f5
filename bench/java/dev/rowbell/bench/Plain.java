package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.concurrent.CountDownLatch;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/**
 * The least that the same work takes: a loop on pgjdbc in a process of its own, which is as cold as Rowbell. Arguments: {@code listen}, {@code flood} or
 * {@code drain}, and the URL. It runs until it is killed.
 */
public final class Plain {

    static final String UP = "plain is up";

    /** Where the id of the row stands in a document. */
    private static final String ID = "\"new\":{\"id\":";

    private Plain() {}

    public static void main(String[] args) throws Exception {
        try (Connection connection = DriverManager.getConnection(args[1])) {
            switch (args[0]) {
                case "listen" -> listen(connection);
                case "flood" -> flood(connection);
                case "drain" -> drain(connection);
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
    }

    /** A payload is the id of the row. */
    private static void listen(Connection connection) throws Exception {
        PGConnection listening = listening(connection);
        while (true) {
            for (PGNotification notification : listening.getNotifications(0)) {
                Stamp.note(notification.getParameter(), System.nanoTime());
            }
        }
    }

    /** A payload is a document. */
    private static void flood(Connection connection) throws Exception {
        PGConnection listening = listening(connection);
        Reads reads = new Reads();
        while (true) {
            for (PGNotification notification : listening.getNotifications(0)) {
                reads.add(id(notification.getParameter()));
            }
            reads.write();
        }
    }

    private static PGConnection listening(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.execute("listen plain");
        }
        System.out.println(UP);
        return connection.unwrap(PGConnection.class);
    }

    private static void drain(Connection connection) throws Exception {
        System.out.println(UP);
        Reads reads = new Reads();
        try (PreparedStatement statement = connection.prepareStatement("""
                delete from plain where ctid = any(array(select ctid from plain order by crt_time limit 1000 for update skip locked)) returning alert::text
                """)) {
            boolean more = true;
            while (more) {
                reads.begin();
                more = false;
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        reads.add(id(rows.getString(1)));
                        more = true;
                    }
                }
                reads.write();
            }
        }
        new CountDownLatch(1).await();
    }

    private static int id(String document) {
        int from = document.indexOf(ID) + ID.length();
        int to = from;
        while (Character.isDigit(document.charAt(to))) {
            to++;
        }
        return Integer.parseInt(document, from, to, 10);
    }
}
