package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.LongAdder;

/** Plain JDBC writers, each with a connection of its own and autocommit. Closed with their connections. */
final class Writers implements AutoCloseable {

    interface Bind {
        void bind(PreparedStatement statement, ThreadLocalRandom random) throws SQLException;
    }

    private final List<Connection> connections = new ArrayList<>();
    private final ExecutorService threads;

    Writers(Db db, int count) throws SQLException {
        for (int i = 0; i < count; i++) {
            connections.add(db.connect());
        }
        threads = Executors.newFixedThreadPool(count);
    }

    /** Statements a second over one round. */
    double rate(String sql, Bind bind) throws Exception {
        LongAdder done = new LongAdder();
        long start = System.nanoTime();
        long end = start + (long) (Rounds.SECONDS * 1e9);
        List<Future<?>> work = new ArrayList<>();
        for (Connection connection : connections) {
            work.add(threads.submit(() -> {
                try (PreparedStatement statement = connection.prepareStatement(sql)) {
                    while (System.nanoTime() < end) {
                        bind.bind(statement, ThreadLocalRandom.current());
                        statement.executeUpdate();
                        done.increment();
                    }
                }
                return null;
            }));
        }
        for (Future<?> one : work) {
            one.get();
        }
        return done.sum() / ((System.nanoTime() - start) / 1e9);
    }

    @Override
    public void close() throws SQLException {
        threads.shutdownNow();
        for (Connection connection : connections) {
            connection.close();
        }
    }
}
