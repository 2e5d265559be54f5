package dev.rowbell.rules;

import dev.rowbell.error.Errors;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.util.HashMap;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/** Says once that something fails, however often it is tried again, and however many things fail because the database is away. For one thread. */
public final class Troubles {

    /** A step of the work. Runs in the one thread that looks after things. */
    public interface Step {
        void run() throws SQLException;
    }

    private static final Logger LOG = LoggerFactory.getLogger(Troubles.class);
    private static final String AWAY = "the database is away";

    /** Why each step failed last; without those that did not. */
    private final Map<String, String> failing = new HashMap<>();

    /** @param what fails where it fails, in the words of the log */
    void run(String what, Step step) {
        try {
            step.run();
            if (AWAY.equals(failing.remove(what)) && !failing.containsValue(AWAY)) {
                LOG.info("the database is back, the rules are looked after again");
            }
        } catch (Throwable e) {
            // Errors too: without its thread nobody would ever look after the rules again
            String why = isAway(e) ? AWAY : Errors.inWords(e);
            boolean said = failing.containsValue(why);
            failing.put(what, why);
            if (!said) {
                LOG.warn("{}, trying again: {}", what, Errors.inWords(e));
            }
            LOG.debug("{}", what, e);
        }
    }

    /** Class 08 and 57P: the connection, the server's shutdown (appendix A of PostgreSQL's manual). */
    private static boolean isAway(Throwable failure) {
        Throwable cause = failure instanceof DataAccessException e ? e.getCause() : failure;
        String state = cause instanceof SQLException e ? String.valueOf(e.getSQLState()) : "";
        return cause instanceof SQLTransientConnectionException || state.startsWith("08") || state.startsWith("57P");
    }
}
