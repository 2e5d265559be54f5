package dev.rowbell.listen;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import org.apache.camel.Exchange;
import org.apache.camel.support.DefaultProducer;

/** Sends the body as a notification on each channel of the endpoint. */
final class NotifyProducer extends DefaultProducer {

    NotifyProducer(ListenEndpoint endpoint) {
        super(endpoint);
    }

    @Override
    public void process(Exchange exchange) throws SQLException {
        ListenEndpoint endpoint = (ListenEndpoint) getEndpoint();
        try (Connection connection = endpoint.connect();
                PreparedStatement statement = connection.prepareStatement("select pg_notify(?, ?)")) {
            for (String channel : endpoint.channels()) {
                statement.setString(1, channel);
                statement.setString(2, exchange.getIn().getBody(String.class));
                statement.execute();
            }
        }
    }
}
