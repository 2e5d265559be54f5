package com.example;

import java.util.Map;
import org.apache.camel.builder.RouteBuilder;

/** Is told when an order is too large. */
public class Desk extends RouteBuilder {

    @Override
    public void configure() {
        // which alerts go where: the body is the alert, and nothing else happens in this transaction
        from("direct:alerts")
                .routeId("alerts")
                .errorHandler(noErrorHandler())
                .filter(simple("${body[rule]} == 'order-too-large'"))
                .to("outbox:desk");

        // at least once for each alert: an exception is tried again later, and becomes a dead letter in the end
        from("outbox:desk").routeId("desk").errorHandler(noErrorHandler()).process(exchange -> {
            Map<?, ?> alert = exchange.getMessage().getBody(Map.class);
            System.out.println("too large: " + alert.get("new"));
        });
    }
}
