package dev.rowbell.web;

import at.favre.lib.crypto.bcrypt.BCrypt;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Who may log in to the web console, by the setting {@code rowbell.web.users}. Safe for many threads. */
public final class Users {

    private static final String KEY = "rowbell.web.users";
    private static final String USER =
            "[\\w.@-]{1,100}:(viewer|operator):\\$2[aby]\\$(0[4-9]|1[0-6])\\$[./A-Za-z0-9]{53}";
    /** About 0.3 s of a CPU. */
    private static final int COST = 12;
    /** bcrypt reads no more. */
    private static final int LONGEST = 72;

    /** Of a password that is not known, so that a try takes as long for a name that is not known; without the cost. */
    private static final String NOBODY = "$2a$%02d$GhzEd3wDQHD1x8rOp6VLPehRVRWiQPGSjceV7LfkLfYHjK6fUnmRG";

    private final Map<String, User> users = new HashMap<>();
    private final String nobody;

    /** @param hash by bcrypt */
    record User(String name, boolean operator, String hash) {

        private int cost() {
            return Integer.parseInt(hash.substring(4, 6));
        }
    }

    /** @throws SettingsException where the setting cannot be read; it does not name the hash */
    public Users(Settings settings) {
        String written = settings.password("rowbell.web.users").strip();
        for (String user : written.isEmpty() ? new String[0] : written.split("\\s*,\\s*")) {
            if (!user.matches(USER)) {
                throw new SettingsException(
                        "%s: write each user as name:operator:hash or name:viewer:hash, with commas between; the command web hash makes the hash"
                                .formatted(KEY));
            }
            String[] parts = user.split(":");
            if (users.put(parts[0], new User(parts[0], parts[1].equals("operator"), parts[2])) != null) {
                throw new SettingsException("%s: there are two users %s".formatted(KEY, parts[0]));
            }
        }
        int cost = users.values().stream().mapToInt(User::cost).max().orElse(COST);
        nobody = NOBODY.formatted(cost);
    }

    boolean isEmpty() {
        return users.isEmpty();
    }

    Optional<User> named(String name) {
        return Optional.ofNullable(users.get(name));
    }

    /** Takes as long as the cost of the hash says, whatever is wrong. */
    Optional<User> find(String name, String password) {
        byte[] given = password.getBytes(StandardCharsets.UTF_8);
        User user = users.get(name);
        byte[] hash = (user == null ? nobody : user.hash()).getBytes(StandardCharsets.US_ASCII);
        boolean ofUse = !isOfNoUse(given);
        boolean right = BCrypt.verifyer().verify(ofUse ? given : new byte[] {'x'}, hash).verified && ofUse;
        return right ? Optional.ofNullable(user) : Optional.empty();
    }

    /** @throws SettingsException for a password that cannot be used */
    public static String hash(String password) {
        byte[] given = password.getBytes(StandardCharsets.UTF_8);
        if (isOfNoUse(given)) {
            throw new SettingsException("give a password of 1 to %d bytes".formatted(LONGEST));
        }
        return new String(BCrypt.withDefaults().hash(COST, given), StandardCharsets.US_ASCII);
    }

    private static boolean isOfNoUse(byte[] password) {
        return password.length == 0 || password.length > LONGEST;
    }
}
