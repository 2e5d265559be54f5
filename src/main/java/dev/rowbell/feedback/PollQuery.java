package dev.rowbell.feedback;

import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.util.Collections;
import java.util.Iterator;
import org.apache.camel.Exchange;
import org.apache.camel.component.sql.SqlPrepareStatementStrategy;

/**
 * Gives the query of the route feedback its parameters: each {@code #} is the time from where the poll scans. Camel's own looks for names of parameters
 * in each poll, which takes half of the steps of a poll. Safe for many threads.
 */
public final class PollQuery implements SqlPrepareStatementStrategy {

    private final FeedbackTransaction transaction;

    /** @param transaction whose polls run the query */
    public PollQuery(FeedbackTransaction transaction) {
        this.transaction = transaction;
    }

    @Override
    public String prepareQuery(String query, boolean allowNamedParameters, Exchange exchange) {
        return query;
    }

    @Override
    public Iterator<?> createPopulateIterator(
            String query, String preparedQuery, int expectedParams, Exchange exchange, Object value) {
        return Collections.nCopies(expectedParams, transaction.since()).iterator();
    }

    @Override
    public void populateStatement(PreparedStatement statement, Iterator<?> values, int expectedParams)
            throws SQLException {
        for (int place = 1; values.hasNext(); place++) {
            statement.setTimestamp(place, (Timestamp) values.next());
        }
    }
}
