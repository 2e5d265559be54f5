package dev.rowbell.bench;

import java.net.URI;
import java.sql.Connection;
import java.sql.Statement;
import java.util.Map;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.main.Main;
import org.postgresql.ds.PGSimpleDataSource;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/**
 * Camel's own components: {@code pgevent:} for one alert at a time, and the {@code sql:} consumer with delete-returning for many. Arguments: setup,
 * latency or drain, and the URL.
 */
public final class CamelPeer extends RouteBuilder {

    private final String work;
    private final URI database;

    private CamelPeer(String work, URI database) {
        this.work = work;
        this.database = database;
    }

    public static void main(String[] args) throws Exception {
        PGSimpleDataSource dataSource = new PGSimpleDataSource();
        dataSource.setUrl(args[1]);
        if (args[0].equals("setup")) {
            setup(dataSource);
            return;
        }
        Main main = new Main();
        main.bind("queue", new SingleConnectionDataSource(dataSource.getConnection(), true));
        main.configure()
                .addRoutesBuilder(new CamelPeer(
                        args[0], URI.create(args[1].substring("jdbc:".length()))));
        main.start();
        System.out.println("plain is up");
        Thread.currentThread().join();
    }

    private static void setup(PGSimpleDataSource dataSource) throws Exception {
        try (Connection connection = dataSource.getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute("""
                    create table camel_queue as table camel_feed with no data;
                    create function tell_camel() returns trigger language plpgsql as
                    $$ begin
                      insert into camel_queue select new.*;
                      perform pg_notify('camel', new.id::text);
                      return null;
                    end $$;
                    create trigger tell_camel after insert on camel_feed
                      for each row when (new.c2 > 9999) execute function tell_camel()
                    """);
        }
    }

    @Override
    public void configure() {
        if (work.equals("latency")) {
            from("pgevent:%s:%d%s/camel?user=postgres&pass=postgres"
                            .formatted(database.getHost(), database.getPort(), database.getPath()))
                    .process(exchange -> Stamp.note(exchange.getIn().getBody(), System.nanoTime()));
        } else {
            Reads reads = new Reads();
            from("sql:delete from camel_queue where ctid = any(array("
                            + "select ctid from camel_queue order by id limit 1000 for update skip locked)) returning *"
                            + "?dataSource=#queue&initialDelay=0&delay=1&greedy=true")
                    .process(exchange -> {
                        Map<?, ?> row = exchange.getIn().getBody(Map.class);
                        reads.add(((Number) row.get("id")).intValue());
                        if (exchange.getProperty("CamelBatchComplete", Boolean.class)) {
                            reads.write();
                        }
                    });
        }
    }
}
