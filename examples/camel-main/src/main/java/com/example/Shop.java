package com.example;

import java.util.Map;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.main.Main;

/** A Camel application that is told when an order is too large. */
public final class Shop extends RouteBuilder {

    public static void main(String[] args) throws Exception {
        Main main = new Main();
        main.configure().addRoutesBuilder(new Shop());
        main.run(args);
    }

    @Override
    public void configure() {
        // which alerts go where: the body is the alert, and nothing else happens in this transaction
        from("direct:alerts")
                .routeId("alerts")
                .errorHandler(noErrorHandler())
                .filter(simple("${body[rule]} == 'order-too-large'"))
                .to("outbox:desk");

        // at least once for each alert: an exception is tried again later, and becomes a dead letter in the end
        from("outbox:desk").routeId("desk").errorHandler(noErrorHandler()).bean(this, "tooLarge");
    }

    public void tooLarge(Map<String, Object> alert) {
        System.out.println("too large: " + alert.get("new"));
    }
}
