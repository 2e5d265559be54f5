package dev.rowbell.testing;

import static org.junit.jupiter.api.Assertions.assertTrue;

import at.favre.lib.crypto.bcrypt.BCrypt;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** A browser of the web console that keeps its cookie and follows no redirect. For one thread. */
public final class WebClient {

    private final HttpClient http = HttpClient.newHttpClient();
    private final int port;
    private String cookie = "";

    public WebClient(int port) {
        this.port = port;
    }

    /** Of a Rowbell with health on a free port, and its state in the directory. */
    public static Map<String, String> settings(TestDatabase database, Path dir) throws IOException {
        Map<String, String> settings = database.settings();
        settings.put("rowbell.health.port", String.valueOf(FreePort.find()));
        settings.put("rowbell.health.enabled", "true");
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.embedded.dir", dir.resolve("state").toString());
        return settings;
    }

    /** For {@code rowbell.web.users}; quicker than that of the command. */
    public static String hash(String password) {
        return BCrypt.withDefaults().hashToString(4, password.toCharArray());
    }

    /** A thief's, with the same cookie. */
    public WebClient copy() {
        WebClient copy = new WebClient(port);
        copy.cookie = cookie;
        return copy;
    }

    public String cookie() {
        return cookie;
    }

    public HttpResponse<String> get(String path) {
        return send(request(path).GET());
    }

    public HttpResponse<String> get(String path, Map<String, String> headers) {
        HttpRequest.Builder request = request(path).GET();
        headers.forEach(request::setHeader);
        return send(request);
    }

    /** What a form of this session sends. */
    public String formToken() {
        String page = get("/").body();
        Matcher token = Pattern.compile("name=\"form\" value=\"([\\w-]{43})\"").matcher(page);
        assertTrue(token.find(), page);
        return token.group(1);
    }

    /** Sends a form as a page of this session does. */
    public HttpResponse<String> act(String path, Map<String, String> form) {
        return post(path, with(form, "form", formToken()));
    }

    /** Sends a form from a page of this console, of no session. */
    public HttpResponse<String> post(String path, Map<String, String> form) {
        return post(path, form, Map.of("Origin", "http://127.0.0.1:" + port));
    }

    /** The same with a form that is written already. */
    public HttpResponse<String> send(String path, String form) {
        return post(path, form, Map.of("Origin", "http://127.0.0.1:" + port));
    }

    /** The same with these headers alone. */
    public HttpResponse<String> send(String path, String form, Map<String, String> headers) {
        return post(path, form, headers);
    }

    /** @param headers an empty one is left out */
    public HttpResponse<String> post(String path, Map<String, String> form, Map<String, String> headers) {
        return post(path, encoded(form), headers);
    }

    private HttpResponse<String> post(String path, String form, Map<String, String> headers) {
        HttpRequest.Builder request = request(path)
                .setHeader("Content-Type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString(form));
        headers.forEach((name, value) -> {
            if (!value.isEmpty()) {
                request.setHeader(name, value);
            }
        });
        return send(request);
    }

    public static String encoded(Map<String, String> form) {
        return form.entrySet().stream()
                .map(field -> field.getKey() + "=" + URLEncoder.encode(field.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
    }

    public static Map<String, String> with(Map<String, String> form, String name, String value) {
        Map<String, String> more = new HashMap<>(form);
        more.put(name, value);
        return more;
    }

    /** Sends these bytes and returns all that comes. */
    public String raw(String request) {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.getOutputStream().write(request.getBytes(StandardCharsets.UTF_8));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private HttpRequest.Builder request(String path) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:%d%s".formatted(port, path)));
        return cookie.isEmpty() ? request : request.header("Cookie", cookie);
    }

    private HttpResponse<String> send(HttpRequest.Builder request) {
        try {
            HttpResponse<String> answer = http.send(request.build(), BodyHandlers.ofString());
            answer.headers().firstValue("Set-Cookie").ifPresent(set -> cookie = set.replaceFirst(";.*", ""));
            return answer;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
