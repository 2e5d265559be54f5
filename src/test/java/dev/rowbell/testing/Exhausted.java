package dev.rowbell.testing;

import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;
import org.springframework.jdbc.datasource.DelegatingDataSource;

/** A DataSource that lends connections until there is no memory, not even to say so. */
public final class Exhausted extends DelegatingDataSource {

    /** Its message cannot be made by the thread that it met, so that the handler which logs it fails too. */
    private static final class Unloggable extends OutOfMemoryError {

        private static final long serialVersionUID = 1L;

        private final transient Thread met = Thread.currentThread();

        @Override
        public String getMessage() {
            if (Thread.currentThread() == met) {
                throw this;
            }
            return "Java heap space";
        }
    }

    private volatile boolean exhausted;

    public Exhausted(DataSource server) {
        super(server);
    }

    /** Exhausted from the beginning. */
    public Exhausted() {
        this(new PGSimpleDataSource());
        exhaust();
    }

    public void exhaust() {
        exhausted = true;
    }

    public void recover() {
        exhausted = false;
    }

    @Override
    public Connection getConnection() throws SQLException {
        if (exhausted) {
            throw new Unloggable();
        }
        return super.getConnection();
    }

    /** As a library does that catches an InterruptedException and sets the mark of its thread again. */
    public static void interrupt() {
        Thread.currentThread().interrupt();
    }
}
