package dev.rowbell.web;

import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.web.Users.User;
import io.vertx.core.http.HttpServerRequest;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The users whom a proxy has let in: it names them in a header, which counts from the addresses and networks of proxies alone. Safe for many threads. */
final class ProxyUsers {

    private final Users users;
    private final String header;
    private final List<Network> proxies;

    /** @throws SettingsException where the settings cannot be used */
    ProxyUsers(Settings settings, Users users) {
        this.users = users;
        header = settings.text("rowbell.web.user-header");
        String addresses = settings.text("rowbell.web.proxies").strip();
        proxies = addresses.isEmpty()
                ? List.of()
                : Arrays.stream(addresses.split("\\s*,\\s*"))
                        .map(ProxyUsers::network)
                        .toList();
        if (header.isEmpty() != proxies.isEmpty() || !proxies.isEmpty() && users.isEmpty()) {
            throw new SettingsException(
                    "rowbell.web.proxies: give also rowbell.web.user-header, and each user in rowbell.web.users; or leave all empty");
        }
    }

    private static Network network(String text) {
        try {
            return Network.of(text);
        } catch (IllegalArgumentException e) {
            throw new SettingsException("rowbell.web.proxies: " + e.getMessage(), e);
        }
    }

    /** Empty where no proxy has sent it, or names no user who is known. */
    Optional<User> of(HttpServerRequest request) {
        String from = Access.address(request).replaceFirst("%.*", "");
        if (proxies.stream().noneMatch(proxy -> proxy.contains(from))) {
            return Optional.empty();
        }
        // a client that sends one too makes two of it
        List<String> names = request.headers().getAll(header);
        return names.size() == 1 ? users.named(names.get(0)) : Optional.empty();
    }
}
