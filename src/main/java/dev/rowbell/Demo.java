package dev.rowbell;

import dev.rowbell.database.Database;
import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import org.apache.camel.CamelContext;
import org.apache.camel.support.PluginHelper;
import org.apache.camel.support.ResourceHelper;

/** The feeds of the demo and routes that write to them as if they were several systems. For the embedded PostgreSQL only. */
final class Demo {

    private Demo() {}

    static boolean isWanted(Settings settings) {
        return !settings.isSet("rowbell.jdbc.url")
                && !settings.text("rowbell.demo").equals("false");
    }

    /** To be called before the database is opened, because the rules of the demo need its feeds. */
    static void addTo(CamelContext context) throws Exception {
        Rowbell rowbell = Rowbell.of(context);
        rowbell.prepare(Demo::createFeeds);
        rowbell.rules.fallBackTo("classpath:dev/rowbell/rules.yaml");
        PluginHelper.getRoutesLoader(context)
                .loadRoutes(
                        ResourceHelper.resolveMandatoryResource(context, "classpath:dev/rowbell/demo/demo.camel.yaml"));
    }

    private static void createFeeds(Database database) {
        try (InputStream sql = Demo.class.getResourceAsStream("/dev/rowbell/demo/demo.sql");
                Connection connection = database.pool().getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute(new String(sql.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException | SQLException e) {
            throw new SettingsException(
                    "the feeds of the demo could not be created (rowbell.demo=false starts without it): "
                            + Errors.inWords(e),
                    e);
        }
    }
}
