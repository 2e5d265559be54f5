package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** One database of the benchmark. */
record Db(String url) {

    /** Of the article's feed. */
    static final String COLUMNS =
            " (id int8 primary key, c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int, c11 int, c12 int)";

    Connection connect() throws SQLException {
        return DriverManager.getConnection(url);
    }

    void execute(String... statements) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        }
    }

    /** The article's feed, with a rule that each row of {@link #raise} meets. */
    void feed() throws SQLException {
        execute(
                "create table feed" + COLUMNS,
                "insert into rowbell.rule (name, feed, condition, fires) values ('c2-overflow', 'public.feed', 'NEW.c2 > 9999', 'every')");
    }

    /** So many alerts of that rule. */
    void raise(int alerts) throws SQLException {
        execute(
                "truncate feed",
                "insert into feed (id, c1, c2) select i, 1, 10000 + i % 100 from generate_series(1, " + alerts + ") i");
    }

    long number(String sql) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return row.getLong(1);
        }
    }
}
