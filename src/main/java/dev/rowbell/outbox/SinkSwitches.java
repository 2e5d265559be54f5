package dev.rowbell.outbox;

import dev.rowbell.settings.Misspelled;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.apache.camel.CamelContext;
import org.apache.camel.model.FromDefinition;
import org.apache.camel.model.ModelCamelContext;
import org.apache.camel.model.RouteDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Which sinks are off, by the routes of a context. Safe for many threads. */
public final class SinkSwitches {

    private static final Logger LOG = LoggerFactory.getLogger(SinkSwitches.class);

    private static final Duration FRESH = Duration.ofSeconds(1);

    /** Two letters that changed places are two typos. */
    private static final int MOST_TYPOS = 2;

    private record Switch(boolean off, long seenAt) {}

    private final CamelContext context;
    private final Predicate<String> isElsewhere;
    private final Map<String, Switch> switches = new ConcurrentHashMap<>();
    /** Sinks for which the missing route was logged. */
    private final Set<String> routeless = ConcurrentHashMap.newKeySet();

    /** @param isElsewhere whether another process delivers for a sink */
    SinkSwitches(CamelContext context, Predicate<String> isElsewhere) {
        this.context = context;
        this.isElsewhere = isElsewhere;
    }

    /**
     * Whether a sink is off: its route is here and says {@code autoStartup: false}, and no other process has it on. A sink without a route here may
     * be another process's, so it is not off and its deliveries wait. A change takes effect within a second.
     */
    boolean isOff(String sink) {
        Switch known = switches.get(sink);
        if (known == null || System.nanoTime() - known.seenAt() > FRESH.toNanos()) {
            known = new Switch(isSwitchedOff(sink), System.nanoTime());
            switches.put(sink, known);
        }
        return known.off();
    }

    private boolean isSwitchedOff(String sink) {
        List<RouteDefinition> routes = routesOf(sink);
        if (!routes.isEmpty()) {
            routeless.remove(sink);
        } else if (!routeless.contains(sink)) {
            warnIfRouteless(sink);
        }
        return routes.stream().anyMatch(route -> !isOn(context, route)) && !isElsewhere.test(sink);
    }

    /** To be called when a route that sends to the sink starts: a misspelled name is told before the first alert. */
    void warnIfRouteless(String sink) {
        if (!routesOf(sink).isEmpty()) {
            return;
        }
        routeless.add(sink);
        Set<String> sinks = ((ModelCamelContext) context)
                .getRouteDefinitions().stream()
                        .map(route -> sinkOf(context, route))
                        .filter(Objects::nonNull)
                        .collect(Collectors.toSet());
        LOG.warn(
                "alerts are sent to outbox:{}, and no route here is from outbox:{}{}: they wait until a process has one. Add the route,"
                        + " or correct the name in routes/alerts.camel.yaml",
                sink,
                sink,
                new Misspelled(sink)
                        .nearest(sinks, MOST_TYPOS)
                        .map(" (did you mean outbox:%s?)"::formatted)
                        .orElse(""));
    }

    private List<RouteDefinition> routesOf(String sink) {
        return ((ModelCamelContext) context)
                .getRouteDefinitions().stream()
                        .filter(route -> sink.equals(sinkOf(context, route)))
                        .toList();
    }

    /** Whether a route starts by itself. */
    public static boolean isOn(CamelContext context, RouteDefinition route) {
        return route.getAutoStartup() == null
                || !"false".equals(context.resolvePropertyPlaceholders(route.getAutoStartup()));
    }

    /** The sink whose route this is; null where it is none. */
    public static String sinkOf(CamelContext context, RouteDefinition route) {
        FromDefinition input = route.getInput();
        // to resolve the long query of the route feedback takes a while, and this is asked while alerts wait
        if (input == null
                || !input.getEndpointUri().startsWith("outbox:")
                        && !input.getEndpointUri().startsWith("{{")) {
            return null;
        }
        String uri = context.resolvePropertyPlaceholders(input.getEndpointUri());
        if (!uri.startsWith("outbox:")) {
            return null;
        }
        String path = uri.substring("outbox:".length()).replaceFirst("^//", "");
        int query = path.indexOf('?');
        return query < 0 ? path : path.substring(0, query);
    }
}
