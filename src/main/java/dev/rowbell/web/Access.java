package dev.rowbell.web;

import dev.rowbell.settings.Settings;
import dev.rowbell.web.Users.User;
import dev.rowbell.web.WebSessions.Session;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.Base64;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Who may open the pages, and who may operate. Safe for many threads. */
public final class Access {

    private static final Logger LOG = LoggerFactory.getLogger(Access.class);

    /** Who has come with the token. */
    static final String TOKEN_USER = "token";

    /** Of a user. */
    private static final int LONGEST_NAME = 100;

    private final Settings settings;
    private final Users users;
    private final ProxyUsers proxyUsers;
    private final WebSessions sessions;
    private final Tries tries;
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
        tries = new Tries(clock);
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

    /** Whether one of our own pages has sent it; a browser always says from where a form comes. */
    boolean isOwnOrigin(HttpServerRequest request) {
        String site = request.getHeader("Sec-Fetch-Site");
        String own = origin.isEmpty() ? "http://" + request.authority() : origin;
        return own.equalsIgnoreCase(request.getHeader("Origin")) && (site == null || site.equals("same-origin"));
    }

    /** Whether no page of a browser has sent it: of what can change something, a browser says from where it comes. */
    static boolean isFromNoPage(HttpServerRequest request) {
        return request.getHeader("Origin") == null && request.getHeader("Sec-Fetch-Site") == null;
    }

    static Optional<String> authorization(HttpServerRequest request) {
        return Optional.ofNullable(request.getHeader("Authorization"));
    }

    /** Who sends this header: the token, where there are no users, else a name and a password. */
    Login authorize(String header, String address) {
        String[] parts = header.strip().split(" +", 2);
        String given = parts.length < 2 ? "" : parts[1];
        if (!takesLogin()) {
            return parts[0].equalsIgnoreCase("Bearer") && isToken(given)
                    ? new Login(new User(TOKEN_USER, true, ""), "", Optional.empty())
                    : new Login(null, "This is not the token.", Optional.empty());
        }
        try {
            String[] login = new String(Base64.getDecoder().decode(given), StandardCharsets.UTF_8).split(":", 2);
            if (parts[0].equalsIgnoreCase("Basic") && login.length == 2) {
                return login(login[0], login[1], address);
            }
        } catch (IllegalArgumentException e) {
            // no Base64: as another scheme
        }
        return new Login(null, "Send a name and a password.", Optional.empty());
    }

    /**
     * What became of a try.
     *
     * @param user null where it is refused
     * @param refusal for people
     * @param retryAfter in seconds; empty where the password was looked at
     */
    record Login(User user, String refusal, Optional<String> retryAfter) {}

    /** Of IPv6, who has an address mostly has 2^64 of them. */
    private static String network(String address) {
        return address.replaceFirst("^((?:\\p{XDigit}+:){4}).*", "$1");
    }

    /** Takes a while, so that passwords cannot be tried quickly. */
    Login login(String name, String password, String address) {
        // of a name that is not known too: otherwise the waits would tell which names are
        String who = (name.length() <= LONGEST_NAME ? name : "") + " " + network(address);
        Duration wait = tries.wait(who);
        if (wait.compareTo(Duration.ZERO) > 0) {
            String seconds = String.valueOf(wait.toSeconds() + 1);
            return new Login(
                    null, "Too many wrong passwords: try again in %s s.".formatted(seconds), Optional.of(seconds));
        }
        Optional<User> user = users.find(name, password);
        if (user.isPresent()) {
            tries.succeeded(who);
            return new Login(user.get(), "", Optional.empty());
        }
        tries.failed(who);
        // of refusals this one alone: it takes a while, of others there may be thousands in a second
        LOG.warn("web console: a login from {} was refused", address);
        return new Login(null, "The name or the password is wrong.", Optional.empty());
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
