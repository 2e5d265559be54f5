package dev.rowbell.web;

import dev.rowbell.alert.AlertJson;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerResponse;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;

/**
 * Sends the alerts that this process routes to the browsers that show the page Live. Routing costs nothing while no browser shows it. While one does,
 * routing makes some lines in each interval, and counts the other alerts. A browser that reads too slowly gets the number of alerts that it missed.
 * Safe for many threads.
 */
public final class Tail {

    private static final int MOST_CLIENTS = 50;
    /** In each interval: 200 a second, more than anyone reads. */
    private static final int MOST_LINES = 50;

    private static final long INTERVAL = 250;
    /** Intervals without an alert, after which a line tells the browser, and proxies, that the connection is there. */
    private static final int QUIET = 60;

    private static final int LENGTH = 200;
    private static final List<String> SHOWN =
            List.of("id", "time", "severity", "status", "rule", "table", "key", "reason");

    private final List<Client> clients = new ArrayList<>();
    private volatile boolean watched;
    private List<Map<String, String>> lines = new ArrayList<>();
    private long leftOut;
    private int quiet;
    private long timer;

    /** A browser that looks. */
    private static final class Client {

        private final HttpServerResponse response;
        private final BooleanSupplier mayLook;
        private long missed;

        private Client(HttpServerResponse response, BooleanSupplier mayLook) {
            this.response = response;
            this.mayLook = mayLook;
        }
    }

    /** To be called when alerts were routed; changes nothing in them. */
    public void routed(List<Map<String, Object>> alerts) {
        if (watched) {
            add(alerts);
        }
    }

    private synchronized void add(List<Map<String, Object>> alerts) {
        int room = Math.min(MOST_LINES - lines.size(), alerts.size());
        for (Map<String, Object> alert : alerts.subList(0, room)) {
            Map<String, String> line = new LinkedHashMap<>();
            for (String name : SHOWN) {
                Object value = alert.get(name);
                line.put(name, value == null ? "" : ShownText.shown(value.toString(), LENGTH));
            }
            lines.add(line);
        }
        leftOut += alerts.size() - room;
    }

    /**
     * Sends what is routed from now on, as server-sent events.
     *
     * @param mayLook asked again and again; where it says no, the response ends
     * @return false where too many look already
     */
    synchronized boolean send(Vertx vertx, HttpServerResponse response, BooleanSupplier mayLook) {
        if (clients.size() >= MOST_CLIENTS) {
            return false;
        }
        Client client = new Client(response, mayLook);
        clients.add(client);
        response.closeHandler(closed -> remove(vertx, client));
        response.exceptionHandler(failed -> remove(vertx, client));
        response.setChunked(true).write(":\n\n");
        if (!watched) {
            watched = true;
            timer = vertx.setPeriodic(INTERVAL, tick -> flush(vertx));
        }
        return true;
    }

    private synchronized void remove(Vertx vertx, Client client) {
        clients.remove(client);
        if (clients.isEmpty() && watched) {
            watched = false;
            vertx.cancelTimer(timer);
            lines = new ArrayList<>();
            leftOut = 0;
        }
    }

    private synchronized void flush(Vertx vertx) {
        boolean nothing = lines.isEmpty() && leftOut == 0;
        quiet = nothing ? quiet + 1 : 0;
        String json = AlertJson.write(lines);
        for (Client client : List.copyOf(clients)) {
            if (!client.mayLook.getAsBoolean()) {
                remove(vertx, client);
                client.response.end();
            } else if (client.response.writeQueueFull()) {
                client.missed += lines.size() + leftOut;
            } else if (!nothing || client.missed > 0) {
                client.response.write(
                        "data: {\"missed\":%d,\"alerts\":%s}\n\n".formatted(client.missed + leftOut, json));
                client.missed = 0;
            } else if (quiet % QUIET == 0) {
                client.response.write(":\n\n");
            }
        }
        lines = new ArrayList<>();
        leftOut = 0;
    }
}
