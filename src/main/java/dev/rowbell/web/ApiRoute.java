package dev.rowbell.web;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.web.Logins.Login;
import dev.rowbell.web.Users.User;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.ZoneId;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.Message;
import org.apache.camel.component.platform.http.PlatformHttpComponent;
import org.apache.camel.component.platform.http.PlatformHttpEndpoint;
import org.apache.camel.support.PluginHelper;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The JSON interface at the end of a route from {@code platform-http:} of an application. Who comes here may read: the application guards the path. To act
 * takes {@code rowbell.api.operate=true}, and a password of {@code rowbell.web.users} or a route of the application that names the operator. Few requests
 * are answered at a time. Safe for many threads.
 */
public final class ApiRoute {

    private static final Logger LOG = LoggerFactory.getLogger(ApiRoute.class);

    /** The property of an exchange in which a route of the application names the operator. Camel makes no property of anything in a request. */
    private static final String OPERATOR = "RowbellOperator";

    /** There where the server is of Vert.x. */
    private static final String VERTX_ADDRESS = "CamelVertxPlatformHttpRemoteAddress";

    private static final String FORM = "application/x-www-form-urlencoded";
    /** Of a form: 200 lines of a table that are selected. */
    private static final int LONGEST_FORM = 200_000;
    /** Each takes a connection of the pool. */
    private static final int AT_A_TIME = 2;

    private static final int LONGEST_WAIT = 10;

    private final Api api;
    private final boolean operates;
    private final String origin;
    private final boolean hasUsers;
    private final Logins logins;
    private final Semaphore answers = new Semaphore(AT_A_TIME);
    /** A password takes a third of a second of a processor. */
    private final Semaphore passwords = new Semaphore(1);

    /** @throws SettingsException where the users cannot be read */
    public ApiRoute(Settings settings, Pages pages, Actions actions, Clock clock) {
        api = new Api(pages, actions, ZoneId.systemDefault());
        operates = settings.flag("rowbell.api.operate");
        origin = settings.text("rowbell.web.origin");
        Users users = new Users(settings);
        hasUsers = !users.isEmpty();
        logins = new Logins(users, clock);
        LOG.info(
                "the JSON interface is a route of the application, which guards its path: who gets there reads{}",
                operates ? ", and operators act" : "");
    }

    /** @throws SettingsException where the application has no web server */
    public static void requireServer(CamelContext context) {
        PlatformHttpComponent component = context.getComponent("platform-http", PlatformHttpComponent.class);
        if (component.getEngine() == null
                && context.getRegistry().lookupByName("platform-http-engine") == null
                && !hasServer(context)) {
            throw new SettingsException(
                    "rowbell.api.enabled=true: Camel has no web server here: add camel-platform-http-starter and spring-boot-starter-web with Spring"
                            + " Boot, camel-quarkus-platform-http with Quarkus, else camel-platform-http-main and camel.server.enabled=true");
        }
    }

    /** Of Camel's own, which may be started only after the routes were made. */
    private static boolean hasServer(CamelContext context) {
        String servers = "org.apache.camel.component.platform.http.";
        return Stream.of(servers + "main.MainHttpServer", servers + "vertx.VertxPlatformHttpServer")
                .map(context.getClassResolver()::resolveClass)
                .anyMatch(server -> server != null && hasService(context, server));
    }

    private static boolean hasService(CamelContext context, Class<?> server) {
        return context.getCamelContextExtension().getServices().stream().anyMatch(server::isInstance);
    }

    /** Replaces the request by the answer. */
    public void answer(Exchange exchange) {
        Message message = exchange.getMessage();
        Api.Answer answer;
        String retryAfter = null;
        try {
            answer = answer(exchange, message);
        } catch (Refusal e) {
            answer = e.answer;
            retryAfter = e.retryAfter;
        } catch (RuntimeException e) {
            answer = Api.problem(500, Errors.inWords(e));
        }
        // those of the request would be sent back
        message.removeHeaders("*");
        message.setBody(answer.text());
        message.setHeader(Exchange.HTTP_RESPONSE_CODE, answer.status());
        message.setHeader(Exchange.CONTENT_TYPE, answer.type() + "; charset=utf-8");
        // Camel sends no Cache-Control
        message.setHeader("Expires", "0");
        message.setHeader("X-Content-Type-Options", "nosniff");
        if (retryAfter != null) {
            message.setHeader("Retry-After", retryAfter);
        }
        if (answer.status() == 401) {
            // of no scheme for which a browser would ask its user, and then send the password from pages of other sites
            // too
            message.setHeader("WWW-Authenticate", "Bearer");
        } else if (answer.status() == 405) {
            message.setHeader("Allow", "GET, HEAD, POST");
        }
    }

    /** Ends the answering of a request. */
    private static final class Refusal extends RuntimeException {

        private static final long serialVersionUID = 1L;
        private final transient Api.Answer answer;
        private final String retryAfter;

        private Refusal(int status, String problem, String retryAfter) {
            super(problem, null, false, false);
            answer = Api.problem(status, problem);
            this.retryAfter = retryAfter;
        }
    }

    private static Refusal refusal(int status, String problem) {
        return new Refusal(status, problem, null);
    }

    private Api.Answer answer(Exchange exchange, Message message) {
        String method = message.getHeader(Exchange.HTTP_METHOD, "", String.class);
        RequestingPage page = new RequestingPage(
                header(message, "Origin"), header(message, "Sec-Fetch-Site"), header(message, "Sec-Fetch-Dest"));
        String path = path(exchange, message);
        if (method.matches("GET|HEAD")) {
            if (page.isOfAnotherSite()) {
                throw refusal(403, "A page of another site has asked for this.");
            }
            Map<String, String> asked = new HashMap<>();
            parsed(text(message, Exchange.HTTP_QUERY)).forEach((name, values) -> asked.put(name, values.get(0)));
            return within(answers, () -> api.read(path, asked));
        } else if (!method.equals("POST")) {
            throw refusal(405, "The JSON interface knows GET, HEAD and POST.");
        } else if (!operates) {
            throw refusal(403, "This is to be read only: rowbell.api.operate=true lets operators act.");
        } else if (!page.isNone() && (origin.isEmpty() || !page.isOf(origin))) {
            throw refusal(
                    403,
                    "This comes from a page of a browser: rowbell.web.origin is the address whose pages may do that.");
        }
        String from = address(exchange.getContext(), message);
        User user = operator(exchange, message, from);
        Form form = form(exchange.getContext(), message);
        return within(answers, () -> api.operate(path, form, user, from));
    }

    private static <T> T within(Semaphore few, Supplier<T> work) {
        try {
            if (few.tryAcquire(LONGEST_WAIT, TimeUnit.SECONDS)) {
                try {
                    return work.get();
                } finally {
                    few.release();
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        throw refusal(503, "Too much is asked for at a time: try again.");
    }

    /** The user whom the application names, or else the user of the password in the request. */
    private User operator(Exchange exchange, Message message, String from) {
        String named = exchange.getProperty(OPERATOR, String.class);
        if (named != null && !named.isBlank()) {
            return new User(named, true, "");
        }
        String authorization = header(message, "Authorization");
        if (!hasUsers || authorization == null) {
            throw refusal(
                    401,
                    hasUsers
                            ? "Send a name and a password."
                            : "Nobody may do that: set rowbell.web.users, or name the operator in a route.");
        }
        Login login = within(passwords, () -> logins.basic(authorization, from));
        if (login.user() == null) {
            throw new Refusal(
                    login.retryAfter().isPresent() ? 429 : 401,
                    login.refusal(),
                    login.retryAfter().orElse(null));
        }
        return login.user();
    }

    /** Null where there is none. A parameter of the same name makes two of it, which is none that counts. */
    private static String header(Message message, String name) {
        Object value = message.getHeader(name);
        return value == null ? null : value instanceof String text ? text : "";
    }

    private static String text(Message message, String name) {
        return Objects.toString(message.getHeader(name), "");
    }

    /** As {@code /api/rules}, wherever the route begins. */
    private static String path(Exchange exchange, Message message) {
        String path = text(message, Exchange.HTTP_PATH);
        String base = exchange.getFromEndpoint() instanceof PlatformHttpEndpoint endpoint ? endpoint.getPath() : "";
        // some servers have taken it away
        return Api.PATH + (path.startsWith(base) ? path.substring(base.length()) : path).replaceFirst("^/", "");
    }

    private static Map<String, List<String>> parsed(String encoded) {
        Map<String, List<String>> parsed = new LinkedHashMap<>();
        for (String pair : encoded.isEmpty() ? new String[0] : encoded.split("&")) {
            String[] parts = pair.split("=", 2);
            parsed.merge(decoded(parts[0]), List.of(parts.length < 2 ? "" : decoded(parts[1])), ApiRoute::both);
        }
        return parsed;
    }

    private static List<String> both(List<String> some, List<String> more) {
        return Stream.concat(some.stream(), more.stream()).toList();
    }

    private static String decoded(String text) {
        try {
            // a text of PostgreSQL has no such character
            return URLDecoder.decode(text, StandardCharsets.UTF_8).replace("\0", "");
        } catch (IllegalArgumentException e) {
            throw refusal(400, "The address or the form cannot be read.");
        }
    }

    private static Form form(CamelContext context, Message message) {
        if (!text(message, Exchange.CONTENT_TYPE).startsWith(FORM)) {
            throw refusal(415, "Send a form.");
        }
        Map<String, List<String>> values = values(context, message);
        int length = values.values().stream()
                .flatMap(List::stream)
                .mapToInt(String::length)
                .sum();
        if (length > LONGEST_FORM) {
            throw refusal(413, "The form is too long.");
        }
        return new Form(values);
    }

    private static Map<String, List<String>> values(CamelContext context, Message message) {
        Map<String, List<String>> values = new HashMap<>();
        if (message.getBody() instanceof Map<?, ?> read) {
            // of a form that came to a servlet, Camel leaves the percent signs
            UnaryOperator<String> decoding =
                    message.getHeader(VERTX_ADDRESS) == null ? ApiRoute::decoded : UnaryOperator.identity();
            read.forEach((name, value) -> values.put(
                    name.toString(),
                    (value instanceof Collection<?> all ? all.stream() : Stream.of(value))
                            .map(one -> decoding.apply(String.valueOf(one)))
                            .toList()));
        } else if (message.getBody() != null) {
            values.putAll(parsed(message.getBody(String.class)));
        }
        // where a filter of the application has read it before, the servlet alone knows it
        if (values.isEmpty()
                && property(context, property(context, message, "request"), "parameterMap") instanceof Map<?, ?> read) {
            read.forEach((name, all) -> values.put(name.toString(), List.of((String[]) all)));
        }
        return values;
    }

    /** Of Vert.x in a header, with a port; of a servlet in its request; empty where it is not known. */
    private static String address(CamelContext context, Message message) {
        Object remote = message.getHeader(VERTX_ADDRESS);
        return remote == null
                ? Objects.toString(property(context, property(context, message, "request"), "remoteAddr"), "")
                : remote.toString().replaceFirst(":\\d+$", "").replaceAll("[\\[\\]]", "");
    }

    private static Object property(CamelContext context, Object bean, String name) {
        return bean == null
                ? null
                : PluginHelper.getBeanIntrospection(context).getOrElseProperty(bean, name, null, false);
    }
}
