package dev.rowbell.bench;

import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Debezium's embedded engine, which reads the write-ahead log; the condition is in the handler. Arguments: setup, latency or drain, the URL, and the
 * file for its offsets.
 */
public final class DebeziumPeer {

    private static final CountDownLatch POLLS = new CountDownLatch(1);
    private static final CountDownLatch SEEN = new CountDownLatch(1);

    private DebeziumPeer() {}

    public static void main(String[] args) throws Exception {
        if (args[0].equals("setup")) {
            Files.deleteIfExists(Path.of(args[2]));
        }
        Reads reads = new Reads();
        DebeziumEngine<RecordChangeEvent<SourceRecord>> engine = DebeziumEngine.create(
                        ChangeEventFormat.of(Connect.class))
                .using(settings(args[1], args[2]))
                .using(new DebeziumEngine.ConnectorCallback() {
                    @Override
                    public void pollingStarted() {
                        POLLS.countDown();
                    }
                })
                .notifying((events, committer) -> {
                    try {
                        handle(events, args[0], reads);
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                    for (RecordChangeEvent<SourceRecord> event : events) {
                        committer.markProcessed(event);
                    }
                    committer.markBatchFinished();
                })
                .build();
        Thread thread = new Thread(engine, "debezium");
        thread.start();
        POLLS.await();
        if (args[0].equals("setup")) {
            insert(args[1]);
            SEEN.await();
            engine.close();
        } else {
            System.out.println("plain is up");
            thread.join();
        }
    }

    private static void handle(List<RecordChangeEvent<SourceRecord>> events, String work, Reads reads)
            throws IOException {
        for (RecordChangeEvent<SourceRecord> event : events) {
            Struct row = ((Struct) event.record().value()).getStruct("after");
            if (row.getInt32("c2") > 9999) {
                long id = row.getInt64("id");
                switch (work) {
                    case "latency" -> Stamp.note(id, System.nanoTime());
                    case "drain" -> reads.add((int) id);
                    default -> SEEN.countDown();
                }
            }
        }
        if (work.equals("drain")) {
            reads.write();
        }
    }

    /** One change, so that there is an offset to store. */
    private static void insert(String url) throws Exception {
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement()) {
            statement.execute("insert into debezium_feed (id, c2) values (0, 10000)");
        }
    }

    private static Properties settings(String url, String offsets) {
        URI database = URI.create(url.substring("jdbc:".length()));
        Properties settings = new Properties();
        settings.setProperty("name", "peer");
        settings.setProperty("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
        settings.setProperty("offset.storage", "org.apache.kafka.connect.storage.FileOffsetBackingStore");
        settings.setProperty("offset.storage.file.filename", offsets);
        settings.setProperty("offset.flush.interval.ms", "1000");
        settings.setProperty("database.hostname", database.getHost());
        settings.setProperty("database.port", String.valueOf(database.getPort()));
        settings.setProperty("database.dbname", database.getPath().substring(1));
        settings.setProperty("database.user", "postgres");
        settings.setProperty("database.password", "postgres");
        settings.setProperty("topic.prefix", "peer");
        settings.setProperty("table.include.list", "public.debezium_feed");
        settings.setProperty("publication.autocreate.mode", "filtered");
        settings.setProperty("plugin.name", "pgoutput");
        settings.setProperty("slot.name", "peer");
        settings.setProperty("snapshot.mode", "no_data");
        settings.setProperty("poll.interval.ms", "1");
        return settings;
    }
}
