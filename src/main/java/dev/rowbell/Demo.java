package dev.rowbell;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;

import org.apache.camel.CamelContext;
import org.apache.camel.support.PluginHelper;
import org.apache.camel.support.ResourceHelper;

/** The feed of the article, with two pretended systems that write into it. For the embedded PostgreSQL alone. */
final class Demo {

    private Demo() {
    }

    static boolean isWanted(Rowbell rowbell) {
        Settings settings = rowbell.settings();
        return rowbell.database().isEmbedded() && (!settings.isSet("rowbell.demo") || settings.flag("rowbell.demo"));
    }

    static void addTo(CamelContext context) throws Exception {
        createFeed(Rowbell.of(context));
        PluginHelper.getRoutesLoader(context)
                .loadRoutes(ResourceHelper.resolveMandatoryResource(context, "classpath:dev/rowbell/demo/demo.camel.yaml"));
    }

    private static void createFeed(Rowbell rowbell) throws IOException, SQLException {
        try (InputStream sql = Demo.class.getResourceAsStream("/dev/rowbell/demo/demo.sql");
                Connection connection = rowbell.database().pool().getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute(new String(sql.readAllBytes(), StandardCharsets.UTF_8));
        }
    }
}
