package dev.rowbell.web;

import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.web.Users.User;
import io.vertx.core.http.HttpServerRequest;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The users whom a proxy has let in: it names them in a header, which counts from the addresses of proxies alone. Safe for many threads. */
final class ProxyUsers {

    private final Users users;
    private final String header;
    private final List<InetAddress> proxies;

    /** @throws SettingsException where the settings cannot be used */
    ProxyUsers(Settings settings, Users users) {
        this.users = users;
        header = settings.text("rowbell.web.user-header");
        String addresses = settings.text("rowbell.web.proxies").strip();
        proxies = addresses.isEmpty()
                ? List.of()
                : Arrays.stream(addresses.split("\\s*,\\s*"))
                        .map(ProxyUsers::address)
                        .toList();
        if (header.isEmpty() != proxies.isEmpty() || !proxies.isEmpty() && users.isEmpty()) {
            throw new SettingsException(
                    "rowbell.web.proxies: give also rowbell.web.user-header, and each user in rowbell.web.users; or leave all empty");
        }
    }

    private static InetAddress address(String text) {
        try {
            // of a name the DNS would be asked
            if (text.matches("[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")) {
                return InetAddress.getByName(text);
            }
        } catch (UnknownHostException e) {
            // reported below
        }
        throw new SettingsException(
                "rowbell.web.proxies: %s is no address: give addresses, separated by commas".formatted(text));
    }

    /** Empty where no proxy has sent it, or names no user who is known. */
    Optional<User> of(HttpServerRequest request) {
        if (proxies.isEmpty()
                || !proxies.contains(address(Access.address(request).replaceFirst("%.*", "")))) {
            return Optional.empty();
        }
        // a client that sends one too makes two of it
        List<String> names = request.headers().getAll(header);
        return names.size() == 1 ? users.named(names.get(0)) : Optional.empty();
    }
}
