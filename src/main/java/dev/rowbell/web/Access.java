package dev.rowbell.web;

import dev.rowbell.settings.Settings;
import dev.rowbell.web.Logins.Login;
import dev.rowbell.web.Users.User;
import dev.rowbell.web.WebSessions.Session;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import java.time.Clock;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/** Who may open the pages, and who may operate. Safe for many threads. */
public final class Access {

    /** Who has come with the token. */
    static final String TOKEN_USER = "token";

    private final Settings settings;
    private final Users users;
    private final ProxyUsers proxyUsers;
    private final WebSessions sessions;
    private final Logins logins;
    /** Where browsers see the pages, as {@code https://rowbell.example.org}; empty: where they are. */
    private final String origin;
    /** The path of the pages there, as {@code /rowbell}; mostly empty. */
    private final String basePath;
    /** Browsers send a cookie to all ports of a host: two Rowbells on a machine must not end each other's sessions. */
    private final String cookie;
    /** Null until it is needed; there is none where there are users. */
    private String token;

    /** @throws dev.rowbell.settings.SettingsException where the users or the proxies cannot be read */
    public Access(Settings settings, Clock clock) {
        this.settings = settings;
        users = new Users(settings);
        proxyUsers = new ProxyUsers(settings, users);
        sessions = new WebSessions(clock);
        logins = new Logins(users, clock);
        origin = settings.text("rowbell.web.origin");
        basePath = settings.text("rowbell.web.base-path");
        // a browser takes __Host- with the path / alone
        String prefix = basePath.isEmpty() ? "__Host-" : "__Secure-";
        cookie = (isBehindTls() ? prefix : "") + "rowbell-" + settings.text("rowbell.health.port");
    }

    boolean takesLogin() {
        return !users.isEmpty();
    }

    /** Of an address; empty where operating takes a login. */
    String tokenQuery() {
        return takesLogin() ? "" : "?token=" + token();
    }

    private synchronized String token() {
        if (token == null) {
            token = AccessToken.of(settings);
        }
        return token;
    }

    boolean isToken(String given) {
        return !takesLogin() && WebSessions.isEqual(token(), given);
    }

    boolean isBehindTls() {
        return origin.startsWith("https://");
    }

    String basePath() {
        return basePath;
    }

    /** The path of a page for one of a request: a proxy may leave the base path there, or not. */
    String withoutBase(String path) {
        if (path.equals(basePath)) {
            return "/";
        }
        return path.startsWith(basePath + "/") ? path.substring(basePath.length()) : path;
    }

    static String address(HttpServerRequest request) {
        return request.remoteAddress().hostAddress();
    }

    static RequestingPage page(HttpServerRequest request) {
        return new RequestingPage(
                request.getHeader("Origin"), request.getHeader("Sec-Fetch-Site"), request.getHeader("Sec-Fetch-Dest"));
    }

    /** Whether one of our own pages has sent it. */
    boolean isOwnOrigin(HttpServerRequest request) {
        return page(request).isOf(origin.isEmpty() ? "http://" + request.authority() : origin);
    }

    static Optional<String> authorization(HttpServerRequest request) {
        return Optional.ofNullable(request.getHeader("Authorization"));
    }

    /** Who sends this header: the token, where there are no users, else a name and a password. */
    Login authorize(String header, String address) {
        if (takesLogin()) {
            return logins.basic(header, address);
        }
        String[] parts = header.strip().split(" +", 2);
        return parts.length == 2 && parts[0].equalsIgnoreCase("Bearer") && isToken(parts[1])
                ? Login.of(new User(TOKEN_USER, true, ""))
                : Login.refused("This is not the token.");
    }

    /** Takes a while, so that passwords cannot be tried quickly. */
    Login login(String name, String password, String address) {
        return logins.find(name, password, address);
    }

    Session begin(String user, boolean operator) {
        return sessions.begin(user, operator);
    }

    /** Of the cookie; empty where there is none, or it is another's than the user whom a proxy has let in. */
    Optional<Session> session(HttpServerRequest request) {
        Optional<User> proxyUser = proxyUser(request);
        // a page at another port may have set a cookie of the same name
        return Stream.of(Objects.toString(request.getHeader(HttpHeaders.COOKIE), "")
                        .split(";"))
                .map(String::strip)
                .filter(given -> given.startsWith(cookie + "="))
                .flatMap(given -> sessions.find(given.substring(cookie.length() + 1)).stream())
                .filter(known -> proxyUser.isEmpty()
                        || known.user().equals(proxyUser.get().name()))
                .findFirst();
    }

    /** Whom a proxy has let in. Pages of other sites can have a browser go through the proxy, so this user has a session as well. */
    Optional<User> proxyUser(HttpServerRequest request) {
        return proxyUsers.of(request);
    }

    boolean isGoingOn(Session session) {
        return sessions.isGoingOn(session);
    }

    void end(Session session) {
        sessions.end(session);
    }

    String cookie(Session session) {
        return cookie(session.id(), "");
    }

    String noCookie() {
        return cookie("", "; Max-Age=0");
    }

    private String cookie(String value, String age) {
        String path = basePath.isEmpty() ? "/" : basePath;
        return "%s=%s; Path=%s%s; HttpOnly; SameSite=Strict%s"
                .formatted(cookie, value, path, age, isBehindTls() ? "; Secure" : "");
    }
}
