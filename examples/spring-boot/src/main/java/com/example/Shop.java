package com.example;

import java.util.Map;
import org.apache.camel.Body;
import org.apache.camel.builder.RouteBuilder;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.stereotype.Component;

/** A shop that wants to know of large orders. */
@SpringBootApplication
public class Shop {

    public static void main(String[] arguments) {
        SpringApplication.run(Shop.class, arguments);
    }

    @Component
    static class LargeOrders extends RouteBuilder {

        @Override
        public void configure() {
            from("outbox:desk?rules=order-too-large").bean(this, "call");
        }

        public void call(@Body Map<String, Object> alert) {
            System.out.println("too large: " + alert.get("new"));
        }
    }
}
