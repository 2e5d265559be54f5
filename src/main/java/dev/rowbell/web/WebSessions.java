package dev.rowbell.web;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The sessions of those who have logged in. A restart ends them. Safe for many threads. */
final class WebSessions {

    /** Without a request. */
    static final Duration IDLE = Duration.ofHours(1);

    static final Duration LONGEST = Duration.ofHours(12);
    /** Sessions of one user. One more ends the oldest of this user, and no session of another user. */
    private static final int MOST = 100;

    private static final SecureRandom RANDOM = new SecureRandom();

    private final Clock clock;
    private final Map<String, Session> sessions = new LinkedHashMap<>();

    WebSessions(Clock clock) {
        this.clock = clock;
    }

    /** Of one browser. Safe for many threads. */
    static final class Session {

        private final String id = random();
        private final String formToken = random();
        private final String user;
        private final boolean operator;
        private final Instant began;
        private Instant seen;
        private String said = "";

        private Session(String user, boolean operator, Instant began) {
            this.user = user;
            this.operator = operator;
            this.began = began;
            seen = began;
        }

        /** What the cookie holds. */
        String id() {
            return id;
        }

        String user() {
            return user;
        }

        boolean isOperator() {
            return operator;
        }

        Users.User asUser() {
            return new Users.User(user, operator, "");
        }

        /** What each form of a page of this session sends, and a page of another site does not know. */
        String formToken() {
            return formToken;
        }

        boolean isFormToken(String given) {
            return isEqual(formToken, given);
        }

        /** For the next page. */
        synchronized void say(String sentence) {
            said = sentence;
        }

        synchronized String takeSaid() {
            String sentence = said;
            said = "";
            return sentence;
        }
    }

    /** A secret of 256 random bits, for a cookie or an address. */
    static String random() {
        byte[] bytes = new byte[32];
        RANDOM.nextBytes(bytes);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /** Takes the same time wherever they differ. */
    static boolean isEqual(String secret, String given) {
        return MessageDigest.isEqual(secret.getBytes(StandardCharsets.UTF_8), given.getBytes(StandardCharsets.UTF_8));
    }

    synchronized Session begin(String user, boolean operator) {
        removeEnded();
        List<Session> own =
                sessions.values().stream().filter(one -> one.user.equals(user)).toList();
        if (own.size() >= MOST) {
            end(own.get(0));
        }
        Session session = new Session(user, operator, clock.instant());
        sessions.put(session.id, session);
        return session;
    }

    /** Empty where it has ended, or there was none. */
    synchronized Optional<Session> find(String id) {
        removeEnded();
        Session session = sessions.get(id);
        if (session != null) {
            session.seen = clock.instant();
        }
        return Optional.ofNullable(session);
    }

    /** Is no request of it. */
    synchronized boolean isGoingOn(Session session) {
        removeEnded();
        return sessions.containsKey(session.id);
    }

    synchronized void end(Session session) {
        sessions.remove(session.id);
    }

    private void removeEnded() {
        Instant now = clock.instant();
        sessions.values()
                .removeIf(session ->
                        !now.isBefore(session.seen.plus(IDLE)) || !now.isBefore(session.began.plus(LONGEST)));
    }
}
