package dev.rowbell.command;

import dev.rowbell.Application;
import dev.rowbell.Rowbell;
import dev.rowbell.database.Database;
import dev.rowbell.settings.Settings;
import org.apache.camel.CamelContext;

/** The settings and the database of one command. No route starts, no schema is changed and no rule applied. */
final class Visit implements AutoCloseable {

    private final Application camel = new Application();
    private Database database;

    Visit() {
        camel.addOverrideProperty("camel.main.routesCollectorEnabled", "false");
        camel.init();
        settings().refuseRenamed();
    }

    CamelContext context() {
        return camel.getCamelContext();
    }

    Settings settings() {
        return Rowbell.of(context()).settings();
    }

    /** Opened by the first call. */
    Database database() {
        if (database == null) {
            database = Database.visit(settings());
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
