package dev.rowbell.command;

import dev.rowbell.database.Database;
import dev.rowbell.settings.Settings;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.main.Main;

/** The settings and the database of one command. It starts no route, changes no schema and applies no rule. */
final class CommandContext implements AutoCloseable {

    private final Main camel;
    private final Settings settings;
    private Database database;

    CommandContext(Main camel) {
        this.camel = camel;
        camel.addOverrideProperty("camel.main.routesCollectorEnabled", "false");
        camel.init();
        settings = new Settings(camel.getCamelContext());
        settings.refuseRenamed();
    }

    CamelContext camel() {
        return camel.getCamelContext();
    }

    Settings settings() {
        return settings;
    }

    DataSource dataSource() {
        return database().pool();
    }

    /** Opened by the first call. */
    Database database() {
        if (database == null) {
            database = Database.visit(settings);
        }
        return database;
    }

    @Override
    public void close() {
        if (database != null) {
            database.close();
        }
        camel.stop();
    }
}
