package dev.rowbell.database;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariDataSource;
import dev.rowbell.error.Errors;
import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.support.TransactionTemplate;

/** A transaction that cannot begin or commit fails as a statement does. */
class TransactionsTest {

    private final TestDatabase database = TestDatabase.create();
    private final HikariDataSource pool = new HikariDataSource();
    private TransactionTemplate transaction;

    @BeforeEach
    void open() {
        Map<String, String> settings = database.settings();
        pool.setJdbcUrl(settings.get("rowbell.jdbc.url"));
        pool.setUsername(settings.get("rowbell.jdbc.user"));
        pool.setPassword(settings.get("rowbell.jdbc.password"));
        pool.setMaximumPoolSize(1);
        pool.setConnectionTimeout(250);
        transaction = new TransactionTemplate(new Transactions(pool));
    }

    @AfterEach
    void close() {
        pool.close();
    }

    @Test
    void whereThereIsNoConnectionToBeginWith() throws SQLException {
        try (Connection taken = pool.getConnection()) {
            DataAccessException e =
                    assertThrows(DataAccessException.class, () -> transaction.executeWithoutResult(status -> {}));
            assertTrue(Errors.isDatabaseAway(e), () -> Errors.inWords(e));
        }
    }

    @Test
    void whereTheConnectionBreaksBeforeTheCommit() {
        JdbcTemplate jdbc = new JdbcTemplate(pool);
        DataAccessException e = assertThrows(
                DataAccessException.class,
                () -> transaction.executeWithoutResult(status -> database.execute("select pg_terminate_backend(%d)"
                        .formatted(jdbc.queryForObject("select pg_backend_pid()", Integer.class)))));
        assertTrue(Errors.isDatabaseAway(e), () -> Errors.inWords(e));
        assertEquals(1, jdbc.queryForObject("select 1", Integer.class));
    }

    @Test
    void whereTheCommitIsRefused() {
        database.execute("create table public.late (id int unique deferrable initially deferred)");
        JdbcTemplate jdbc = new JdbcTemplate(pool);
        DataAccessException e = assertThrows(
                DataAccessException.class,
                () -> transaction.executeWithoutResult(
                        status -> jdbc.update("insert into public.late values (1), (1)")));
        assertEquals("23505", ((SQLException) e.getRootCause()).getSQLState());
        assertEquals(0, jdbc.queryForObject("select count(*) from public.late", Integer.class));
    }
}
