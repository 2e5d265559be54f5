package dev.rowbell.spring;

import dev.rowbell.settings.SettingsException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.NamedNode;
import org.apache.camel.RoutesBuilder;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.builder.RouteBuilderLifecycleStrategy;
import org.apache.camel.model.ModelCamelContext;
import org.apache.camel.model.RouteDefinition;
import org.apache.camel.support.PluginHelper;
import org.apache.camel.support.ResourceHelper;

/** The routes in the jar of Rowbell: those that {@code rowbell.routes} names and that the application has not replaced by its own. */
final class ShippedRoutes {

    private static final String KEY = "rowbell.routes";
    private static final List<String> FILES = List.of("sources", "alerts", "file", "http", "mail", "api");

    private final ModelCamelContext context;

    ShippedRoutes(CamelContext context) {
        this.context = (ModelCamelContext) context;
    }

    /** @throws SettingsException where the setting names another file */
    void load() {
        for (String file : files()) {
            load("classpath:dev/rowbell/routes/" + file + ".camel.yaml");
        }
    }

    private List<String> files() {
        Optional<String> set = context.getPropertiesComponent().resolveProperty(KEY);
        List<String> files = set.isEmpty()
                ? FILES
                : Stream.of(set.get().split(","))
                        .map(String::trim)
                        .filter(file -> !file.isEmpty())
                        .toList();
        if (!FILES.containsAll(files)) {
            throw new SettingsException("%s=%s: give some of %s, or nothing for no shipped route"
                    .formatted(KEY, set.orElse(""), String.join(",", FILES)));
        }
        return files;
    }

    private void load(String file) {
        try {
            for (RoutesBuilder routes : PluginHelper.getRoutesLoader(context)
                    .findRoutesBuilders(ResourceHelper.resolveMandatoryResource(context, file))) {
                ((RouteBuilder) routes).addLifecycleInterceptor(new Replaced());
                context.addRoutes(routes);
            }
        } catch (Exception e) {
            throw RuntimeCamelException.wrapRuntimeException(e);
        }
    }

    /** Drops each shipped route that begins where a route of the application begins, and gives way where a name is taken. */
    private final class Replaced implements RouteBuilderLifecycleStrategy {

        @Override
        public void afterConfigure(RouteBuilder builder) {
            Set<String> names =
                    context.getRouteDefinitions().stream().map(NamedNode::getId).collect(Collectors.toSet());
            List<RouteDefinition> shipped = builder.getRouteCollection().getRoutes();
            shipped.removeIf(route -> context.getRouteDefinitions().stream()
                    .anyMatch(own -> beginning(own).equals(beginning(route))));
            shipped.stream()
                    .filter(route -> names.contains(route.getId()))
                    .forEach(route -> route.setId("rowbell-" + route.getId()));
        }
    }

    /** Without its options. */
    private String beginning(RouteDefinition route) {
        return context.resolvePropertyPlaceholders(String.valueOf(
                        route.getInput() == null ? "" : route.getInput().getEndpointUri()))
                .replaceFirst("\\?.*", "")
                .replaceFirst("://", ":");
    }
}
