package dev.rowbell.web;

import dev.rowbell.web.Users.User;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.Base64;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Checks names and passwords, and slows repeated tries down. Safe for many threads. */
final class Logins {

    private static final Logger LOG = LoggerFactory.getLogger(Logins.class);

    /** Of a user. */
    private static final int LONGEST_NAME = 100;

    private final Users users;
    private final Tries tries;

    Logins(Users users, Clock clock) {
        this.users = users;
        tries = new Tries(clock);
    }

    /**
     * The result of a try.
     *
     * @param user null where it is refused
     * @param refusal for people
     * @param retryAfter in seconds; empty where the password was looked at
     */
    record Login(User user, String refusal, Optional<String> retryAfter) {

        static Login of(User user) {
            return new Login(user, "", Optional.empty());
        }

        static Login refused(String refusal) {
            return new Login(null, refusal, Optional.empty());
        }
    }

    /** Of IPv6, who has an address mostly has 2^64 of them. */
    private static String network(String address) {
        return address.replaceFirst("^((?:\\p{XDigit}+:){4}).*", "$1");
    }

    /** @param header the value of {@code Authorization} */
    Login basic(String header, String address) {
        String[] parts = header.strip().split(" +", 2);
        try {
            String[] login = new String(
                            Base64.getDecoder().decode(parts.length < 2 ? "" : parts[1]), StandardCharsets.UTF_8)
                    .split(":", 2);
            if (parts[0].equalsIgnoreCase("Basic") && login.length == 2) {
                return find(login[0], login[1], address);
            }
        } catch (IllegalArgumentException e) {
            // no Base64: it counts as another scheme
        }
        return Login.refused("Send a name and a password.");
    }

    /** Takes a while, so that passwords cannot be tried quickly. */
    Login find(String name, String password, String address) {
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
            return Login.of(user.get());
        }
        tries.failed(who);
        // of refusals this one alone: it takes a while, of others there may be thousands in a second
        LOG.warn("web console: a login from {} was refused", address);
        return Login.refused("The name or the password is wrong.");
    }
}
