package dev.rowbell.web;

import dev.rowbell.database.StorableText;
import java.util.List;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/** The table {@code rowbell.audit}. Its methods throw a {@link DataAccessException} where the database fails. Safe for many threads. */
final class AuditRepository {

    private static final int LENGTH = 2000;

    private final JdbcClient jdbc;
    private final StorableText storable;

    AuditRepository(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
        storable = new StorableText(dataSource);
    }

    /**
     * What an operator did.
     *
     * @param at in the time zone of this machine, as {@code 2026-11-23 08:00:00}
     * @param address from where
     */
    public record Entry(String at, String who, String address, String action, String what, String result) {}

    /** In the transaction of the thread, if it has one. */
    void add(String who, String address, String action, String what, String result) {
        jdbc.sql("insert into rowbell.audit (who, address, action, what, result) values (?, ?, ?, ?, ?)")
                .params(who, address, action, cut(what), cut(result))
                .update();
    }

    private String cut(String text) {
        return storable.of(text.length() <= LENGTH ? text : text.substring(0, LENGTH) + "…");
    }

    /** The last one first. */
    List<Entry> list(int most) {
        return jdbc.sql("""
                        select to_char(a.at, 'YYYY-MM-DD HH24:MI:SS') as at, who, address, action, what, result
                        from rowbell.audit a
                        order by id desc
                        limit ?
                        """).param(most).query(Entry.class).list();
    }
}
