package dev.rowbell.web;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.web.Logins.Login;
import dev.rowbell.web.Users.User;
import dev.rowbell.web.WebSessions.Session;
import freemarker.core.HTMLOutputFormat;
import freemarker.core.TemplateClassResolver;
import freemarker.template.Configuration;
import freemarker.template.TemplateException;
import freemarker.template.TemplateExceptionHandler;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.handler.HttpException;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.ZoneId;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.component.platform.http.vertx.VertxPlatformHttpRouter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Serves the pages on the port of health, whose guard has looked at the host name of each request before. On loopback anyone may view, and operating takes
 * the token that the start prints; with users, both take a login, and without users no page is served on another address than loopback. Few threads work
 * for it, on few connections of the pool: pages that are open slow nothing down. Safe for many threads.
 */
public final class WebConsole {

    private static final Logger LOG = LoggerFactory.getLogger(WebConsole.class);

    private static final String CLOSED =
            "The web console has no users, so it is served on loopback only: set rowbell.web.users, or rowbell.health.host=127.0.0.1,"
                    + " or rowbell.web.enabled=false to say that it is not wanted.";

    private static final int THREADS = 2;
    /** Requests that wait for a thread. A browser opens few pages at a time. */
    private static final int WAITING = 20;
    /** Who tries passwords keeps one thread busy, and no page waiting. */
    private static final int LOGINS_WAITING = 5;

    /** So that all of 200,000 dead letters can be sent again while another operator acknowledges. */
    private static final int ACTIONS = 2;

    private static final int ACTIONS_WAITING = 10;
    /** Of a form: 200 lines of a table that are selected. */
    private static final int LONGEST_FORM = 200_000;

    private static final long SLOWEST_FORM = Duration.ofSeconds(20).toMillis();

    private static final String TEXT = "text/plain";

    /** The pages that have a script, which is one of ours. */
    private static final Set<String> SCRIPTED = Set.of("/", "/firing", "/sinks", "/tail", "/rules/edit");

    private static final String POLICY = "Content-Security-Policy";

    private static final String WITH_SCRIPT =
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

    private static final Map<String, String> HEADERS = Map.of(
            POLICY,
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options",
            "nosniff",
            "X-Frame-Options",
            "DENY",
            // with no-referrer, a browser would send forms without their origin
            "Referrer-Policy",
            "same-origin",
            "Cross-Origin-Resource-Policy",
            "same-origin",
            "Cache-Control",
            "no-store");

    private final Pages pages;
    private final Api api;
    private final Actions actions;
    private final Access access;
    private final Tail tail;
    private final boolean open;
    private final Configuration templates = new Configuration(Configuration.VERSION_2_3_34);
    private final String style = resource("style.css");
    private final Map<String, String> scripts = Stream.of("tail.js", "refresh.js", "check.js")
            .collect(Collectors.toUnmodifiableMap(name -> "/" + name, WebConsole::resource));
    private final ThreadPoolExecutor threads = threads("rowbell web", THREADS, WAITING);
    private final ThreadPoolExecutor logins = threads("rowbell web login", 1, LOGINS_WAITING);
    private final ThreadPoolExecutor operations = threads("rowbell web operator", ACTIONS, ACTIONS_WAITING);

    private WebConsole(Pages pages, Actions actions, Access access, Tail tail, boolean open) {
        this.pages = pages;
        api = new Api(pages, actions, ZoneId.systemDefault());
        this.actions = actions;
        this.access = access;
        this.tail = tail;
        this.open = open;
        templates.setClassForTemplateLoading(WebConsole.class, "");
        templates.setDefaultEncoding("UTF-8");
        templates.setURLEscapingCharset("UTF-8");
        templates.setOutputFormat(HTMLOutputFormat.INSTANCE);
        templates.setLocale(Locale.US);
        templates.setNumberFormat("#,##0");
        templates.setNewBuiltinClassResolver(TemplateClassResolver.ALLOWS_NOTHING_RESOLVER);
        templates.setTemplateExceptionHandler(TemplateExceptionHandler.RETHROW_HANDLER);
        templates.setLogTemplateExceptions(false);
        templates.setObjectWrapper(new TemplateText());
    }

    private static String resource(String name) {
        try (InputStream file = WebConsole.class.getResourceAsStream(name)) {
            return new String(file.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static ThreadPoolExecutor threads(String name, int most, int waiting) {
        ThreadPoolExecutor threads =
                new ThreadPoolExecutor(most, most, 10, TimeUnit.SECONDS, new ArrayBlockingQueue<>(waiting), task -> {
                    Thread daemon = new Thread(task, name);
                    daemon.setDaemon(true);
                    return daemon;
                });
        threads.allowCoreThreadTimeOut(true);
        return threads;
    }

    /** Where the pages are, with the token where one is needed; empty where none are served. */
    public static String address(Settings settings, Access access) {
        String host = settings.text("rowbell.health.host");
        return isWanted(settings) && isOpen(settings, access)
                ? "http://%s:%s%s/%s"
                        .formatted(
                                host.contains(":") ? "[" + host + "]" : host,
                                settings.text("rowbell.health.port"),
                                access.basePath(),
                                access.tokenQuery())
                : "";
    }

    private static boolean isWanted(Settings settings) {
        return settings.flag("rowbell.health.enabled") && settings.flag("rowbell.web.enabled");
    }

    private static boolean isOpen(Settings settings, Access access) {
        return access.takesLogin() || isLoopback(settings);
    }

    private static boolean isLoopback(Settings settings) {
        try {
            return InetAddress.getByName(settings.text("rowbell.health.host")).isLoopbackAddress();
        } catch (UnknownHostException e) {
            return false;
        }
    }

    /** To be called when Camel's server of health has started. */
    public static void serve(
            CamelContext context, Settings settings, Pages pages, Actions actions, Access access, Tail tail) {
        if (!isWanted(settings)) {
            return;
        }
        boolean open = isOpen(settings, access);
        String host = settings.text("rowbell.health.host");
        if (!open) {
            LOG.info("rowbell.health.host={} is not loopback. {}", host, CLOSED);
        } else if (!isLoopback(settings) && !access.isBehindTls()) {
            LOG.warn(
                    "rowbell.health.host={} is not loopback, so passwords for the web console cross the network in clear text, unless a proxy"
                            + " has TLS: set rowbell.web.origin to its address, as https://rowbell.example.org",
                    host);
        }
        VertxPlatformHttpRouter.lookup(
                        context,
                        VertxPlatformHttpRouter.getRouterNameFromPort(settings.number("rowbell.health.port", 1)))
                .route()
                .last()
                .handler(new WebConsole(pages, actions, access, tail, open)::answer);
    }

    private void answer(RoutingContext request) {
        String path = access.withoutBase(request.normalizedPath());
        HttpServerResponse response = request.response();
        HEADERS.forEach(response::putHeader);
        HttpMethod method = request.request().method();
        if (request.normalizedPath().startsWith("/observe")) {
            request.next();
        } else if (!open) {
            end(response, 404, TEXT, CLOSED + "\n");
        } else if (method == HttpMethod.POST) {
            post(request, path);
        } else if (method != HttpMethod.GET && method != HttpMethod.HEAD) {
            response.putHeader(HttpHeaders.ALLOW, "GET, HEAD, POST");
            end(response, 405, TEXT, "The web console knows GET, HEAD and POST.\n");
        } else if (Access.page(request.request()).isOfAnotherSite()) {
            end(response, 403, TEXT, "A page of another site has asked for this.\n");
        } else {
            try {
                get(request, path);
            } catch (HttpException e) {
                // the router would log a stack trace
                end(response, 400, TEXT, "The address cannot be read.\n");
            }
        }
    }

    private void get(RoutingContext request, String path) {
        HttpServerResponse response = request.response();
        Map<String, String> asked = new HashMap<>();
        // a text of PostgreSQL has no such character
        request.queryParams()
                .forEach(parameter -> asked.putIfAbsent(
                        parameter.getKey(), parameter.getValue().replace("\0", "")));
        if (path.equals("/style.css")) {
            end(response, 200, "text/css", style);
        } else if (scripts.containsKey(path)) {
            end(response, 200, "text/javascript", scripts.get(path));
        } else if (path.startsWith(Api.PATH)) {
            authorized(request, user -> run(threads, response, () -> end(response, api.read(path, asked))));
        } else if (asked.containsKey("token")) {
            withToken(request, asked.get("token"));
        } else {
            get(request, path, asked);
        }
    }

    private void get(RoutingContext request, String path, Map<String, String> asked) {
        HttpServerResponse response = request.response();
        Optional<Session> session = access.session(request.request())
                .or(() ->
                        access.proxyUser(request.request()).map(user -> begin(request, user.name(), user.operator())));
        if (session.isEmpty() && access.takesLogin() && !path.equals("/login")) {
            redirect(response, "/login");
        } else if (path.equals("/tail/events") && request.request().method() == HttpMethod.GET) {
            response.putHeader(HttpHeaders.CONTENT_TYPE, "text/event-stream; charset=utf-8");
            if (!tail.send(
                    request.vertx(),
                    response,
                    () -> !access.takesLogin()
                            || session.filter(access::isGoingOn).isPresent())) {
                end(response, 503, TEXT, "Too many browsers look already.\n");
            }
        } else {
            if (SCRIPTED.contains(path)) {
                response.putHeader(POLICY, WITH_SCRIPT);
            }
            run(threads, response, () -> page(path, asked, session, response));
        }
    }

    /** Who asks for JSON may view as who asks for a page, and may also send a token or a password with each request. */
    private void authorized(RoutingContext request, Consumer<Optional<User>> next) {
        HttpServerResponse response = request.response();
        Optional<String> authorization = Access.authorization(request.request());
        Optional<Session> session = access.session(request.request());
        if (authorization.isEmpty()) {
            boolean known =
                    session.isPresent() || access.proxyUser(request.request()).isPresent();
            if (!known && access.takesLogin()) {
                refuse(response, Login.refused("Log in, or send a name and a password."));
            } else {
                next.accept(session.map(Session::asUser));
            }
        } else {
            String from = Access.address(request.request());
            run(logins, response, () -> {
                Login login = access.authorize(authorization.get(), from);
                if (login.user() == null) {
                    refuse(response, login);
                } else {
                    next.accept(Optional.of(login.user()));
                }
            });
        }
    }

    private static void refuse(HttpServerResponse response, Login login) {
        login.retryAfter().ifPresent(seconds -> response.putHeader("Retry-After", seconds));
        // of no scheme for which a browser would ask its user, and then send the password from pages of other sites too
        response.putHeader("WWW-Authenticate", "Bearer");
        end(response, Api.problem(login.retryAfter().isPresent() ? 429 : 401, login.refusal()));
    }

    private static void end(HttpServerResponse response, Api.Answer answer) {
        end(response, answer.status(), answer.type(), answer.text());
    }

    /** The answer has another address, so that the token does not stay in that of the browser. */
    private void withToken(RoutingContext request, String token) {
        if (access.isToken(token)) {
            begin(request, Access.TOKEN_USER, true);
            redirect(request.response(), "/");
        } else {
            end(
                    request.response(),
                    403,
                    TEXT,
                    "This token is not right any more: the start of Rowbell prints the address with the one of now.\n");
        }
    }

    private Session begin(RoutingContext request, String user, boolean operator) {
        access.session(request.request()).ifPresent(access::end);
        Session session = access.begin(user, operator);
        LOG.info("web console: {} has logged in from {}", user, Access.address(request.request()));
        request.response().putHeader(HttpHeaders.SET_COOKIE, access.cookie(session));
        return session;
    }

    /** The form is read first; a page of another site cannot send one. */
    private void post(RoutingContext request, String path) {
        HttpServerRequest in = request.request();
        HttpServerResponse response = request.response();
        String length = String.valueOf(in.getHeader(HttpHeaders.CONTENT_LENGTH));
        boolean authorized =
                path.startsWith(Api.PATH) && Access.authorization(in).isPresent();
        if (!access.isOwnOrigin(in) && !(authorized && Access.page(in).isNone())) {
            end(response, 403, TEXT, "This comes from a page of another site, or does not say from which.\n");
        } else if (!String.valueOf(in.getHeader(HttpHeaders.CONTENT_TYPE))
                .startsWith(HttpHeaders.APPLICATION_X_WWW_FORM_URLENCODED.toString())) {
            end(response, 415, TEXT, "Send a form.\n");
        } else if (!length.matches("\\d{1,9}") || Integer.parseInt(length) > LONGEST_FORM) {
            end(response, 413, TEXT, "The form is too long, or does not say how long it is.\n");
        } else {
            long timer = request.vertx()
                    .setTimer(SLOWEST_FORM, late -> in.connection().close());
            in.setExpectMultipart(true);
            in.exceptionHandler(failure -> {
                request.vertx().cancelTimer(timer);
                end(
                        response,
                        400,
                        TEXT,
                        "The form cannot be read. A field of it takes 8,192 bytes at most, as the browser sends it.\n");
            });
            in.endHandler(read -> {
                request.vertx().cancelTimer(timer);
                Map<String, List<String>> values = new HashMap<>();
                in.formAttributes()
                        .names()
                        .forEach(name -> values.put(name, in.formAttributes().getAll(name)));
                Form form = new Form(values);
                if (path.equals("/login")) {
                    run(logins, response, () -> login(request, form));
                } else if (authorized) {
                    authorized(request, user -> operate(request, path, form, user.get(), Optional.empty()));
                } else {
                    operate(request, path, form);
                }
            });
        }
    }

    private void login(RoutingContext request, Form form) {
        Login login = access.login(form.text("user"), form.password(), Access.address(request.request()));
        if (login.user() != null) {
            // the response belongs to the thread of the connection
            request.vertx().runOnContext(done -> {
                begin(request, login.user().name(), login.user().operator());
                redirect(request.response(), "/");
            });
        } else {
            login.retryAfter().ifPresent(seconds -> request.response().putHeader("Retry-After", seconds));
            Map<String, String> shown = Map.of("refusal", login.refusal());
            page(
                    "/login",
                    shown,
                    Optional.empty(),
                    request.response(),
                    login.retryAfter().isPresent() ? 429 : 403);
        }
    }

    private void operate(RoutingContext request, String path, Form form) {
        HttpServerResponse response = request.response();
        Optional<Session> session = access.session(request.request());
        if (session.isEmpty()) {
            end(response, 403, TEXT, "Log in first: the session has ended, or there was none.\n");
        } else if (!session.get().isFormToken(form.text("form"))) {
            end(response, 403, TEXT, "The form is not one of this session: load the page again.\n");
        } else if (path.equals("/logout")) {
            access.end(session.get());
            LOG.info("web console: {} has logged out", session.get().user());
            response.putHeader(HttpHeaders.SET_COOKIE, access.noCookie());
            redirect(response, "/");
        } else {
            operate(request, path, form, session.get().asUser(), session);
        }
    }

    /** @param session is told how it went, if there is one */
    private void operate(RoutingContext request, String path, Form form, User user, Optional<Session> session) {
        HttpServerResponse response = request.response();
        String from = Access.address(request.request());
        if (path.startsWith(Api.PATH)) {
            run(operations, response, () -> end(response, api.operate(path, form, user, from)));
        } else if (user.operator()) {
            run(operations, response, () -> perform(path, form, user, from, session, response));
        } else {
            end(response, 403, TEXT, "Only an operator may do that.\n");
        }
    }

    private void perform(
            String path, Form form, User user, String from, Optional<Session> session, HttpServerResponse response) {
        try {
            if (RuleForm.PATHS.contains(path)) {
                edit(path, RuleForm.of(form), user, from, session, response);
                return;
            }
            Optional<Actions.Result> result = actions.perform(path, form, user.name(), from);
            if (result.isPresent()) {
                session.ifPresent(told -> told.say(result.get().said()));
                redirect(response, result.get().next());
            } else {
                end(response, 404, TEXT, "There is no such action.\n");
            }
        } catch (RuntimeException e) {
            LOG.warn("the action {} of the web console failed: {}", path, Errors.inWords(e));
            LOG.debug("its failure", e);
            end(response, 500, TEXT, "It failed: " + Errors.inWords(e) + "\n");
        }
    }

    /** Shows a form that was not applied again, with its problems or rows. */
    private void edit(
            String action,
            RuleForm form,
            User user,
            String from,
            Optional<Session> session,
            HttpServerResponse response) {
        Actions.Edited edited = actions.edit(action, form, user.name(), from);
        if (edited.next() != null) {
            session.ifPresent(told -> told.say(edited.said()));
            redirect(response, edited.next());
        } else {
            response.putHeader(POLICY, WITH_SCRIPT);
            render(() -> pages.edited(form, edited, session), response, edited.status());
        }
    }

    private static void run(ThreadPoolExecutor threads, HttpServerResponse response, Runnable task) {
        try {
            threads.execute(task);
        } catch (RejectedExecutionException e) {
            end(response, 503, TEXT, "Too many pages are asked for at a time: try again.\n");
        }
    }

    private void page(String path, Map<String, String> asked, Optional<Session> session, HttpServerResponse response) {
        page(path, asked, session, response, 200);
    }

    private void page(
            String path,
            Map<String, String> asked,
            Optional<Session> session,
            HttpServerResponse response,
            int status) {
        render(() -> pages.page(path, asked, session), response, status);
    }

    private void render(Supplier<Pages.Page> part, HttpServerResponse response, int status) {
        int found = status;
        String text;
        try {
            Pages.Page page = part.get();
            page.model().put("users", access.takesLogin());
            page.model().put("base", access.basePath());
            found = page.template().equals("missing") ? 404 : status;
            StringWriter html = new StringWriter();
            templates.getTemplate(page.template() + ".ftlh").process(page.model(), html);
            text = html.toString();
        } catch (IOException | TemplateException | RuntimeException e) {
            LOG.warn("a page of the web console failed: {}", Errors.inWords(e));
            LOG.debug("its failure", e);
            end(response, 500, TEXT, "The page failed: " + Errors.inWords(e) + "\n");
            return;
        }
        end(response, found, "text/html", text);
    }

    /** @param to without the base path */
    private void redirect(HttpServerResponse response, String to) {
        response.putHeader(HttpHeaders.LOCATION, access.basePath() + to);
        end(response, 303, TEXT, "");
    }

    private static void end(HttpServerResponse response, int status, String type, String text) {
        try {
            response.setStatusCode(status)
                    .putHeader(HttpHeaders.CONTENT_TYPE, type + "; charset=utf-8")
                    .end(text);
        } catch (IllegalStateException e) {
            LOG.debug("the browser has closed the connection", e);
        }
    }
}
