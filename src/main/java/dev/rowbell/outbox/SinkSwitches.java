package dev.rowbell.outbox;

import dev.rowbell.settings.Misspelled;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.camel.CamelContext;
import org.apache.camel.model.FromDefinition;
import org.apache.camel.model.ModelCamelContext;
import org.apache.camel.model.RouteDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/** Which sinks are off, by the routes of a context. Safe for many threads. */
public final class SinkSwitches {

    private static final Logger LOG = LoggerFactory.getLogger(SinkSwitches.class);

    /** Two letters that changed places are two typos. */
    private static final int MOST_TYPOS = 2;

    private final CamelContext context;
    private final Supplier<Set<String>> elsewhere;
    /** Sinks that routes here send to. */
    private final Set<String> asked = ConcurrentHashMap.newKeySet();
    /** By sink that was asked for, whether it is off, as it was seen last. */
    private final Map<String, Boolean> off = new ConcurrentHashMap<>();
    /** Sinks for which the missing route was logged. */
    private final Set<String> routeless = ConcurrentHashMap.newKeySet();

    /** @param elsewhere the sinks for which other processes deliver */
    SinkSwitches(CamelContext context, Supplier<Set<String>> elsewhere) {
        this.context = context;
        this.elsewhere = elsewhere;
    }

    /**
     * Whether a sink is off: its route is here and says {@code autoStartup: false}, and no other process has it on. A sink without a route here may
     * be another process's, so it is not off and its deliveries wait. As it was seen by the last {@link #look}, since alerts wait for the answer.
     */
    boolean isOff(String sink) {
        Boolean known = off.get(sink);
        if (known != null) {
            return known;
        }
        asked.add(sink);
        boolean isOff = isOffHere(sink);
        try {
            isOff = isOff && !elsewhere.get().contains(sink);
            off.put(sink, isOff);
        } catch (DataAccessException e) {
            // the connection of the alert's transaction will fail as well
            LOG.debug("other processes of sink {} are not known", sink, e);
        }
        return isOff;
    }

    /**
     * Looks again which of the sinks are off that routes here send to.
     *
     * @throws DataAccessException where the database fails: they are as they were
     */
    void look() {
        Map<String, Boolean> here = new HashMap<>();
        asked.forEach(sink -> here.put(sink, isOffHere(sink)));
        Set<String> others = here.containsValue(true) ? elsewhere.get() : Set.of();
        here.forEach((sink, isOff) -> off.put(sink, isOff && !others.contains(sink)));
    }

    private boolean isOffHere(String sink) {
        List<RouteDefinition> routes = routesOf(sink);
        if (!routes.isEmpty()) {
            routeless.remove(sink);
        } else if (!routeless.contains(sink)) {
            warnIfRouteless(sink);
        }
        return routes.stream().anyMatch(route -> !isOn(context, route));
    }

    /** To be called when a route that sends to the sink starts: a misspelled name is told before the first alert. */
    void warnIfRouteless(String sink) {
        asked.add(sink);
        if (!routesOf(sink).isEmpty()) {
            return;
        }
        routeless.add(sink);
        Set<String> sinks = definitions().stream()
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

    /** Whether a route of this process is from the sink, running or not. */
    boolean hasRoute(String sink) {
        return !routesOf(sink).isEmpty();
    }

    private List<RouteDefinition> routesOf(String sink) {
        return definitions().stream()
                .filter(route -> sink.equals(sinkOf(context, route)))
                .toList();
    }

    /** As they are now: a reload of routes changes the list of Camel's. */
    private List<RouteDefinition> definitions() {
        return new ArrayList<>(((ModelCamelContext) context).getRouteDefinitions());
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
