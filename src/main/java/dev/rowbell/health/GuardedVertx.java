package dev.rowbell.health;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.impl.VertxInternal;
import io.vertx.core.impl.VertxWrapper;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.Service;
import org.apache.camel.component.platform.http.main.ManagementHttpServer;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckHelper;
import org.apache.camel.health.HealthCheckRegistry;
import org.apache.camel.util.InetAddressUtil;

/**
 * Guards the port of health and metrics; Camel's server has no settings for that. A request is for an address or for a known host name: a page in a
 * browser may give its own name the address of this machine (DNS rebinding), and an address cannot be given. A connection has a limited time to send
 * a request, the connections are limited, and one that does not read its answers gets no more of them. The answer about health is its own. Safe for
 * many threads.
 */
public final class GuardedVertx extends VertxWrapper {

    /** A percent sign without its two digits. */
    private static final Pattern UNREADABLE = Pattern.compile("%(?!\\p{XDigit}{2})");

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int BAD_REQUEST = 400;
    private static final int MISDIRECTED = 421;
    /** That wait for a request. */
    private static final int CONNECTIONS = 100;
    /** From the connect, or from the end of a response, until that is read and the headers of the next request have come. */
    private static final Duration REQUEST = Duration.ofSeconds(20);

    private final CamelContext context;
    private final int port;
    private final String healthPath;
    private final Set<String> names;
    /** The connections that may send a request, the oldest first, each with the timer that closes it. */
    private final Map<HttpConnection, Long> waiting = new LinkedHashMap<>();

    /** To be called when Camel's server is added and has not yet looked for a Vert.x. One of the application's stays. */
    public static void bind(CamelContext context, Service server, Settings settings) {
        int port = settings.number("rowbell.health.port", 1);
        if (((ManagementHttpServer) server).getPort() == port
                && context.getRegistry().findByType(Vertx.class).isEmpty()) {
            Set<String> names = Stream.of(
                            settings.text("rowbell.health.names") + ",localhost",
                            settings.text("rowbell.health.host"),
                            InetAddressUtil.getLocalHostNameSafe())
                    .flatMap(list -> Stream.of(list.split(",")))
                    .map(name -> name.strip().toLowerCase(Locale.ROOT))
                    .filter(name -> !name.isEmpty())
                    .collect(Collectors.toSet());
            context.getRegistry()
                    .bind(
                            "rowbellVertx",
                            new GuardedVertx(context, port, ((ManagementHttpServer) server).getHealthPath(), names));
        }
    }

    /** @param names host names in lower case; addresses are known all */
    private GuardedVertx(CamelContext context, int port, String healthPath, Set<String> names) {
        super((VertxInternal) Vertx.vertx());
        this.context = context;
        this.port = port;
        this.healthPath = healthPath;
        this.names = names;
    }

    @Override
    public HttpServer createHttpServer(HttpServerOptions options) {
        // with HTTP/2 in clear text, a connection is not handled before its first bytes have come
        HttpServer server =
                super.createHttpServer(options.setHttp2ClearTextEnabled(false)).connectionHandler(this::connected);
        return (HttpServer) Proxy.newProxyInstance(
                HttpServer.class.getClassLoader(), new Class<?>[] {HttpServer.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("requestHandler") && arguments != null) {
                        @SuppressWarnings("unchecked")
                        Handler<HttpServerRequest> handler = (Handler<HttpServerRequest>) arguments[0];
                        return server.requestHandler(request -> requested(request, handler));
                    }
                    try {
                        return method.invoke(server, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private void connected(HttpConnection connection) {
        if (connection.localAddress().port() != port) {
            return;
        }
        connection.closeHandler(closed -> cancel(connection));
        awaitRequest(connection);
    }

    private synchronized void awaitRequest(HttpConnection connection) {
        waiting.put(connection, setTimer(REQUEST.toMillis(), timer -> connection.close()));
        if (waiting.size() > CONNECTIONS) {
            // the one that sends no request must not keep out those that do
            HttpConnection oldest = waiting.keySet().iterator().next();
            cancel(oldest);
            oldest.close();
        }
    }

    private synchronized void cancel(HttpConnection connection) {
        Long timer = waiting.remove(connection);
        if (timer != null) {
            cancelTimer(timer);
        }
    }

    private void requested(HttpServerRequest request, Handler<HttpServerRequest> handler) {
        if (request.localAddress().port() == port) {
            HttpServerResponse response = request.response();
            if (response.writeQueueFull()) {
                // answers wait in memory until they are read: a client may ask for thousands without reading one
                request.pause();
                response.drainHandler(read -> {
                    response.drainHandler(null);
                    // not within the call of the request before, or many of them would be nested
                    runOnContext(next -> {
                        request.resume();
                        requested(request, handler);
                    });
                });
                return;
            }
            cancel(request.connection());
            response.bodyEndHandler(end -> awaitRequest(request.connection()));
            // of what cannot be read the router would log a stack trace
            if (request.authority() == null) {
                response.setStatusCode(BAD_REQUEST).end("no host that can be read\n");
                return;
            } else if (!isReadable(request.path())) {
                response.setStatusCode(BAD_REQUEST).end("no path that can be read\n");
                return;
            } else if (!isKnown(request.authority().host())) {
                response.setStatusCode(MISDIRECTED).end("unknown host name: add it to rowbell.health.names\n");
                return;
            }
            if (request.path().matches(Pattern.quote(healthPath) + "(/live|/ready)?/?")
                    && request.method() == HttpMethod.GET) {
                executeBlocking(() -> answerHealth(request), false)
                        .onFailure(failure -> response.setStatusCode(503).end());
                return;
            }
            // Camel's route has one type; its handler gives what was asked for
            String accept = request.getHeader(HttpHeaders.ACCEPT);
            if (accept != null) {
                request.headers().set(HttpHeaders.ACCEPT, accept + ",*/*;q=0.1");
            }
        }
        handler.handle(request);
    }

    /** In the form of Camel's answer, in which each word is escaped twice. */
    private Void answerHealth(HttpServerRequest request) throws JsonProcessingException {
        String level = request.getParam(
                "exposureLevel", HealthCheckRegistry.get(context).getExposureLevel());
        boolean ready = request.path().contains("/ready");
        Collection<HealthCheck.Result> results = ready
                ? HealthCheckHelper.invokeReadiness(context, level)
                : request.path().contains("/live")
                        ? HealthCheckHelper.invokeLiveness(context, level)
                        : HealthCheckHelper.invoke(context, level);
        boolean up = HealthCheckHelper.isResultsUp(results, ready);
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("status", up ? "UP" : "DOWN");
        List<Map<String, Object>> checks = results.stream()
                .filter(result ->
                        level.equals("full") || !level.equals("oneline") && result.getState() == HealthCheck.State.DOWN)
                .map(result -> describe(result, "true".equals(request.getParam("data"))))
                .toList();
        if (!checks.isEmpty()) {
            answer.put("checks", checks);
        }
        request.response()
                .setStatusCode(up ? 200 : 503)
                .putHeader(HttpHeaders.CONTENT_TYPE, "application/json")
                .end(JSON.writeValueAsString(answer));
        return null;
    }

    private static Map<String, Object> describe(HealthCheck.Result result, boolean withData) {
        Map<String, Object> check = new LinkedHashMap<>();
        check.put("name", result.getCheck().getId());
        check.put("status", result.getState().name());
        result.getError().ifPresent(error -> check.put("error-message", Errors.inWords(error)));
        result.getMessage().ifPresent(message -> check.put("message", message));
        if (withData && !result.getDetails().isEmpty()) {
            Map<String, String> data = new TreeMap<>();
            result.getDetails().forEach((key, value) -> data.put(key, String.valueOf(value)));
            check.put("data", data);
        }
        return check;
    }

    /** Whether the router can read it. */
    private static boolean isReadable(String path) {
        return path != null && path.startsWith("/") && !UNREADABLE.matcher(path).find();
    }

    private boolean isKnown(String name) {
        String host = name.toLowerCase(Locale.ROOT).replaceFirst("\\.$", "");
        return host.matches("\\d{1,3}(\\.\\d{1,3}){3}|\\[?[0-9a-f:.]*:[0-9a-f:.]*]?") || names.contains(host);
    }
}
