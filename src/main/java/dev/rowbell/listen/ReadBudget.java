package dev.rowbell.listen;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Field;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.sql.Connection;
import java.sql.SQLException;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.PGStream;
import org.postgresql.core.QueryExecutorBase;
import org.postgresql.core.VisibleBufferedInputStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Limits how much one call of {@code getNotifications} reads: the driver goes on for as long as more is there, and any role can send more than fits
 * into the memory. Over the budget nothing more is there, and the rest of a message comes in single bytes, so that the driver's buffer is empty at
 * the end of a message. It stands between the driver's buffer and the socket, on the decrypted side, where the driver has no place for it: fields are
 * set by reflection. Also saves the driver's wait of a millisecond after each notification. For the thread that listens.
 */
final class ReadBudget extends FilterInputStream {

    private static final Logger LOG = LoggerFactory.getLogger(ReadBudget.class);
    private static final int BYTES = 256 << 10;
    /** By which the driver asks whether another message is there, in ms. */
    private static final int ASKING = 1;

    private final Socket socket;
    private boolean limited;
    private int left;

    private ReadBudget(InputStream in, Socket socket) {
        super(in);
        this.socket = socket;
    }

    /** Of a connection that was just opened. With another version of the driver, in which the place is not found, a budget without effect. */
    static ReadBudget of(Connection connection) throws SQLException {
        Object executor = connection.unwrap(BaseConnection.class).getQueryExecutor();
        try {
            PGStream stream =
                    (PGStream) field(QueryExecutorBase.class, "pgStream").get(executor);
            Object buffer = field(PGStream.class, "pgInput").get(stream);
            Field wrapped = field(VisibleBufferedInputStream.class, "wrapped");
            ReadBudget budget = new ReadBudget((InputStream) wrapped.get(buffer), stream.getSocket());
            wrapped.set(buffer, budget);
            return budget;
        } catch (ReflectiveOperationException | RuntimeException e) {
            LOG.warn(
                    "this version of pgjdbc reads notifications without limit, and many at once may take all memory ({}): use the version"
                            + " in Rowbell's pom.xml",
                    e.toString());
            return new ReadBudget(InputStream.nullInputStream(), null);
        }
    }

    private static Field field(Class<?> type, String name) throws NoSuchFieldException {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    /** Before {@code getNotifications}, with a time-out of more than {@link #ASKING}. */
    void begin() {
        limited = true;
        left = BYTES;
    }

    /** After it. Returns whether the budget was spent, so that more may be there: a query would read all of it. */
    boolean end() {
        limited = false;
        return left <= 0;
    }

    @Override
    public int read(byte[] buffer, int from, int length) throws IOException {
        if (limited && socket.getSoTimeout() == ASKING && (left <= 0 || in.available() == 0)) {
            throw new SocketTimeoutException("nothing is there");
        }
        int read = in.read(buffer, from, limited && left <= 0 ? Math.min(length, 1) : length);
        left -= Math.max(0, read);
        return read;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int available() throws IOException {
        return limited && left <= 0 ? 0 : in.available();
    }
}
