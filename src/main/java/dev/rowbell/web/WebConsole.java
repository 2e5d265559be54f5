package dev.rowbell.web;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import freemarker.core.HTMLOutputFormat;
import freemarker.core.TemplateClassResolver;
import freemarker.template.Configuration;
import freemarker.template.TemplateException;
import freemarker.template.TemplateExceptionHandler;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
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
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.apache.camel.CamelContext;
import org.apache.camel.component.platform.http.vertx.VertxPlatformHttpRouter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Serves the pages on the port of health, whose guard has looked at the host name of each request before. There is no login, so on another address than
 * loopback no page is served. Few threads work for it, on few connections of the pool: pages that are open slow nothing down.
 */
public final class WebConsole {

    private static final Logger LOG = LoggerFactory.getLogger(WebConsole.class);

    private static final String CLOSED =
            "The web console has no login, so it is served on loopback only: set rowbell.health.host=127.0.0.1,"
                    + " or rowbell.web.enabled=false to say that it is not wanted.";

    private static final int THREADS = 2;
    /** Requests that wait for a thread. A browser opens few pages at a time. */
    private static final int WAITING = 20;

    private static final Map<String, String> HEADERS = Map.of(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options",
            "nosniff",
            "X-Frame-Options",
            "DENY",
            "Referrer-Policy",
            "no-referrer",
            "Cross-Origin-Resource-Policy",
            "same-origin",
            "Cache-Control",
            "no-store");

    private final Pages pages;
    private final boolean open;
    private final Configuration templates = new Configuration(Configuration.VERSION_2_3_34);
    private final String style;
    private final ThreadPoolExecutor threads =
            new ThreadPoolExecutor(THREADS, THREADS, 10, TimeUnit.SECONDS, new ArrayBlockingQueue<>(WAITING), task -> {
                Thread daemon = new Thread(task, "rowbell web");
                daemon.setDaemon(true);
                return daemon;
            });

    private WebConsole(Pages pages, boolean open) {
        this.pages = pages;
        this.open = open;
        threads.allowCoreThreadTimeOut(true);
        templates.setClassForTemplateLoading(WebConsole.class, "");
        templates.setDefaultEncoding("UTF-8");
        templates.setURLEscapingCharset("UTF-8");
        templates.setOutputFormat(HTMLOutputFormat.INSTANCE);
        templates.setLocale(Locale.US);
        templates.setNumberFormat("#,##0");
        templates.setNewBuiltinClassResolver(TemplateClassResolver.ALLOWS_NOTHING_RESOLVER);
        templates.setTemplateExceptionHandler(TemplateExceptionHandler.RETHROW_HANDLER);
        templates.setLogTemplateExceptions(false);
        templates.setObjectWrapper(new ShownText());
        try (InputStream file = WebConsole.class.getResourceAsStream("style.css")) {
            style = new String(file.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Where the pages are; empty where none are served. */
    public static String address(Settings settings) {
        String host = settings.text("rowbell.health.host");
        return isWanted(settings) && isLoopback(settings)
                ? "http://%s:%s/"
                        .formatted(host.contains(":") ? "[" + host + "]" : host, settings.text("rowbell.health.port"))
                : "";
    }

    private static boolean isWanted(Settings settings) {
        return settings.flag("rowbell.health.enabled") && settings.flag("rowbell.web.enabled");
    }

    private static boolean isLoopback(Settings settings) {
        try {
            return InetAddress.getByName(settings.text("rowbell.health.host")).isLoopbackAddress();
        } catch (UnknownHostException e) {
            return false;
        }
    }

    /** To be called when Camel's server of health has started. */
    public static void serve(CamelContext context, Settings settings, Pages pages) {
        if (!isWanted(settings)) {
            return;
        }
        boolean open = isLoopback(settings);
        if (!open) {
            LOG.info("rowbell.health.host={} is not loopback. {}", settings.text("rowbell.health.host"), CLOSED);
        }
        VertxPlatformHttpRouter.lookup(
                        context,
                        VertxPlatformHttpRouter.getRouterNameFromPort(settings.number("rowbell.health.port", 1)))
                .route()
                .last()
                .handler(new WebConsole(pages, open)::answer);
    }

    private void answer(RoutingContext request) {
        String path = request.normalizedPath();
        HttpServerResponse response = request.response();
        HEADERS.forEach(response::putHeader);
        boolean read = request.request().method() == HttpMethod.GET
                || request.request().method() == HttpMethod.HEAD;
        if (path.startsWith("/observe")) {
            request.next();
        } else if (!open) {
            end(response, 404, "text/plain", CLOSED + "\n");
        } else if (!read) {
            response.putHeader(HttpHeaders.ALLOW, "GET, HEAD");
            end(response, 405, "text/plain", "The web console shows and changes nothing: GET or HEAD.\n");
        } else if (isOfAnotherSite(request)) {
            end(response, 403, "text/plain", "A page of another site has asked for this.\n");
        } else if (path.equals("/style.css")) {
            end(response, 200, "text/css", style);
        } else {
            try {
                Map<String, String> asked = new HashMap<>();
                // a text of PostgreSQL has no such character
                request.queryParams()
                        .forEach(parameter -> asked.putIfAbsent(
                                parameter.getKey(), parameter.getValue().replace("\0", "")));
                threads.execute(() -> page(path, asked, response));
            } catch (RejectedExecutionException e) {
                end(response, 503, "text/plain", "Too many pages are asked for at a time: try again.\n");
            } catch (HttpException e) {
                // the router would log a stack trace
                end(response, 400, "text/plain", "The address cannot be read.\n");
            }
        }
    }

    /**
     * Whether the page of another site makes this request by itself, as for an image, which could keep the database busy. A link on such a page is
     * followed: the user sees the answer, and the page cannot read it.
     */
    private static boolean isOfAnotherSite(RoutingContext request) {
        String site = request.request().getHeader("Sec-Fetch-Site");
        return site != null
                && !site.matches("none|same-origin")
                && !"document".equals(request.request().getHeader("Sec-Fetch-Dest"));
    }

    private void page(String path, Map<String, String> asked, HttpServerResponse response) {
        int status = 200;
        String text;
        try {
            Pages.Page page = pages.page(path, asked);
            status = page.template().equals("missing") ? 404 : 200;
            StringWriter html = new StringWriter();
            templates.getTemplate(page.template() + ".ftlh").process(page.model(), html);
            text = html.toString();
        } catch (IOException | TemplateException | RuntimeException e) {
            LOG.warn("the page {} of the web console failed: {}", path, Errors.inWords(e));
            LOG.debug("its failure", e);
            end(response, 500, "text/plain", "The page failed: " + Errors.inWords(e) + "\n");
            return;
        }
        end(response, status, "text/html", text);
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
