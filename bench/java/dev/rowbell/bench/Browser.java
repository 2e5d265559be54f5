package dev.rowbell.bench;

import java.io.IOException;
import java.net.CookieManager;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.stream.Collectors;

/** Who looks at the pages of a process, as operator where it has opened the address with the token. */
final class Browser {

    private final HttpClient client =
            HttpClient.newBuilder().cookieHandler(new CookieManager()).build();
    private final String address;

    Browser(RowbellProcess rowbell) {
        address = "http://127.0.0.1:" + rowbell.port();
    }

    static Browser operator(RowbellProcess rowbell) throws Exception {
        Browser browser = new Browser(rowbell);
        browser.send(browser.request("/?token=" + rowbell.token()).build());
        return browser;
    }

    /** A page as a whole; one of which a part is missing is an error. */
    String get(String path) throws Exception {
        String page = send(request(path).build());
        int missing = page.indexOf("A part of this page is missing");
        if (missing >= 0) {
            throw new WrongCount(path + ": " + page.substring(missing, page.indexOf('<', missing)));
        }
        return page;
    }

    String post(String path, Map<String, String> form) throws Exception {
        String body = form.entrySet().stream()
                .map(field -> field.getKey() + "=" + encoded(field.getValue()))
                .collect(Collectors.joining("&"));
        return send(request(path)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .header("Origin", address)
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build());
    }

    static String encoded(String value) {
        return URLEncoder.encode(value, StandardCharsets.UTF_8);
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(address + path));
    }

    private String send(HttpRequest request) throws IOException, InterruptedException {
        HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
        // an alert that is not known, and a page after a form
        if (answer.statusCode() >= 400 && answer.statusCode() != 404) {
            throw new WrongCount("%s %s: %d %s"
                    .formatted(request.method(), request.uri().getPath(), answer.statusCode(), answer.body()));
        }
        return answer.body();
    }
}
