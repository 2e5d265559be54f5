package dev.rowbell.listen;

import com.impossibl.postgres.jdbc.PGDataSource;
import dev.rowbell.feedback.FeedbackTransaction;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;
import org.apache.camel.Consumer;
import org.apache.camel.Processor;
import org.apache.camel.Producer;
import org.apache.camel.component.pgevent.PgEventEndpoint;

/** {@code pgevent:} with channels of any name, several of them with commas between, and two options more. */
public final class ListenEndpoint extends PgEventEndpoint {

    private final ListenComponent component;
    private FeedbackTransaction transaction;
    private boolean exclusive;

    ListenEndpoint(String uri, ListenComponent component) {
        super(uri, component);
        this.component = component;
    }

    @Override
    public Consumer createConsumer(Processor processor) throws Exception {
        if (isForCamel()) {
            return super.createConsumer(processor);
        }
        ListenConsumer consumer = new ListenConsumer(this, processor);
        configureConsumer(consumer);
        return consumer;
    }

    @Override
    public Producer createProducer() throws Exception {
        return isForCamel() ? super.createProducer() : new NotifyProducer(this);
    }

    /** A DataSource of pgjdbc-ng has none of the connections that Rowbell listens with. An application that has one gets what Camel makes of it. */
    private boolean isForCamel() {
        return getDatasource() instanceof PGDataSource;
    }

    ListenComponent component() {
        return component;
    }

    List<String> channels() {
        return Arrays.stream(getChannel().split(","))
                .map(String::strip)
                .filter(channel -> !channel.isEmpty())
                .distinct()
                .toList();
    }

    /** A connection of its own, in auto-commit. */
    Connection connect() throws SQLException {
        if (getDatasource() != null) {
            return getDatasource().getConnection();
        }
        return DriverManager.getConnection(
                "jdbc:postgresql://%s:%d/%s".formatted(getHost(), getPort(), getDatabase()), getUser(), getPass());
    }

    public FeedbackTransaction getTransaction() {
        return transaction;
    }

    /** The notifications that arrive together are routed in one transaction, and again if it fails. None: each on its own, once. */
    public void setTransaction(FeedbackTransaction transaction) {
        this.transaction = transaction;
    }

    public boolean isExclusive() {
        return exclusive;
    }

    /** Of the processes that listen to the same channels exclusively, one does, and another takes over when it goes. */
    public void setExclusive(boolean exclusive) {
        this.exclusive = exclusive;
    }
}
