package dev.rowbell.listen;

import java.sql.Connection;
import java.sql.SQLException;
import org.apache.camel.Exchange;
import org.apache.camel.support.DefaultProducer;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/** Sends the body as a notification on each channel of the endpoint. */
final class NotifyProducer extends DefaultProducer {

    NotifyProducer(ListenEndpoint endpoint) {
        super(endpoint);
    }

    @Override
    public void process(Exchange exchange) throws SQLException {
        ListenEndpoint endpoint = (ListenEndpoint) getEndpoint();
        try (Connection connection = endpoint.connect()) {
            JdbcClient jdbc = JdbcClient.create(new SingleConnectionDataSource(connection, true));
            for (String channel : endpoint.channels()) {
                jdbc.sql("select pg_notify(?, ?)")
                        .params(channel, exchange.getIn().getBody(String.class))
                        .query((row, number) -> number)
                        .list();
            }
        }
    }
}
