package dev.rowbell;

import dev.rowbell.database.Database;
import dev.rowbell.error.Errors;
import dev.rowbell.outbox.SinkSwitches;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.camel.CamelContext;
import org.apache.camel.model.ModelCamelContext;
import org.apache.camel.model.RouteDefinition;

/** The text that the program prints when it has started: where to look and what to change. */
final class Banner {

    private static final Pattern SWITCH = Pattern.compile("\\{\\{" + RowbellSetup.CONFIGURED + ":(.+)}}");

    private Banner() {}

    private record Line(String name, String value) {}

    static String of(CamelContext context, boolean demo) {
        Rowbell rowbell = Rowbell.of(context);
        Database database = rowbell.database();
        List<Line> lines = new ArrayList<>();
        lines.add(new Line("connect", database.shownUrl()));
        if (database.isEmbedded()) {
            lines.add(new Line("", "psql \"%s\"".formatted(database.shownUrl().substring("jdbc:".length()))));
        }
        if (demo) {
            lines.add(new Line(
                    "demo", "orders are written to public.feed and public.shipment; rowbell.demo=false stops that"));
        }
        lines.add(new Line("rules", rowbell.rules.summary()));
        lines.add(new Line("durable", rowbell.settings.text("rowbell.feedback.table")));
        if (rowbell.settings.isSet("rowbell.channels")) {
            lines.add(new Line("notify", rowbell.settings.text("rowbell.channels")));
        }
        Map<String, String> sinks = new TreeMap<>();
        for (RouteDefinition route : ((ModelCamelContext) context).getRouteDefinitions()) {
            String sink = SinkSwitches.sinkOf(context, route);
            if (sink != null) {
                sinks.put(sink, state(context, route));
            }
        }
        sinks.forEach((sink, state) -> lines.add(new Line(sink, state)));
        String web = rowbell.webAddress();
        if (!web.isEmpty()) {
            lines.add(new Line("web", web));
        }
        if (rowbell.settings.flag("rowbell.health.enabled")) {
            lines.add(new Line(
                    "health",
                    "http://%s:%s/observe/health"
                            .formatted(
                                    rowbell.settings.text("rowbell.health.host"),
                                    rowbell.settings.text("rowbell.health.port"))));
        }
        int width = lines.stream().mapToInt(line -> line.name().length()).max().orElse(0);
        StringBuilder text = new StringBuilder("%nRowbell is watching PostgreSQL %s%s%n"
                .formatted(database.version(), database.isEmbedded() ? ", embedded" : ""));
        lines.forEach(line -> text.append("  ")
                .append(line.name())
                .append(" ".repeat(Math.max(10, width) - line.name().length()))
                .append(" %s%n".formatted(line.value())));
        return text.toString();
    }

    private static String state(CamelContext context, RouteDefinition route) {
        Matcher key = SWITCH.matcher(String.valueOf(route.getAutoStartup()));
        boolean named = key.matches();
        if (!SinkSwitches.isOn(context, route)) {
            return named ? "off: set " + key.group(1) : "off: autoStartup is false";
        }
        return named
                ? "on" + shown(key.group(1), context.resolvePropertyPlaceholders("{{" + key.group(1) + "}}"))
                : "on";
    }

    /** An address without its secrets; empty for a key that Rowbell does not know. */
    private static String shown(String key, String value) {
        if (value.matches("https?://.*")) {
            return ": " + Errors.withoutSecrets(value);
        }
        return key.equals("rowbell.file.dir") || key.equals("rowbell.mail.host") ? ": " + value : "";
    }
}
