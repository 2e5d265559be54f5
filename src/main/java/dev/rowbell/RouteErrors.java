package dev.rowbell;

import dev.rowbell.error.Errors;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.camel.AsyncCallback;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.FailedToCreateRouteException;
import org.apache.camel.FailedToStartRouteException;
import org.apache.camel.NamedNode;
import org.apache.camel.Processor;
import org.apache.camel.Route;
import org.apache.camel.VetoCamelContextStartException;
import org.apache.camel.impl.DefaultModelReifierFactory;
import org.apache.camel.model.BasicExpressionNode;
import org.apache.camel.model.ChoiceDefinition;
import org.apache.camel.model.ExpressionNode;
import org.apache.camel.model.LogDefinition;
import org.apache.camel.model.ModelCamelContext;
import org.apache.camel.model.ProcessorDefinition;
import org.apache.camel.model.ProcessorDefinitionHelper;
import org.apache.camel.model.RouteDefinition;
import org.apache.camel.model.ToDynamicDefinition;
import org.apache.camel.model.WhenDefinition;
import org.apache.camel.processor.DefaultProcessorFactory;
import org.apache.camel.reifier.ProcessorReifier;
import org.apache.camel.spi.InterceptStrategy;
import org.apache.camel.spi.ProcessorFactory;
import org.apache.camel.spi.Resource;
import org.apache.camel.spi.ResourceReload;
import org.apache.camel.support.LifecycleStrategySupport;
import org.apache.camel.support.RouteWatcherReloadStrategy;
import org.apache.camel.support.processor.DelegateAsyncProcessor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Says where in the routes of the program an error is: file, line, route, step and expression. A mistake that Camel finds when it makes a route, at the
 * start or at a reload, is one line. So is an expression that fails on an alert. For the program alone: a context of another application stays as it is.
 */
final class RouteErrors extends DefaultProcessorFactory implements InterceptStrategy {

    private static final Logger LOG = LoggerFactory.getLogger(RouteErrors.class);

    private final ModelCamelContext context;
    /** Met by the start, which goes on to the last route to find them all. */
    private final List<Exception> mistakes = new ArrayList<>();

    private boolean starting = true;
    /** By file, what was reloaded last. One save is several events of the file system. */
    private final Map<String, byte[]> reloaded = new HashMap<>();
    /** By file, why it was not reloaded when that was tried last. */
    private final Map<String, String> refused = new HashMap<>();

    private RouteErrors(ModelCamelContext context) {
        this.context = context;
    }

    /** To be called when the context was built and before it starts. */
    static void addTo(CamelContext context) {
        RouteErrors errors = new RouteErrors((ModelCamelContext) context);
        context.getCamelContextExtension().addContextPlugin(ProcessorFactory.class, errors);
        context.getCamelContextExtension().addInterceptStrategy(errors);
        errors.context.setModelReifierFactory(new DefaultModelReifierFactory() {
            @Override
            public Route createRoute(CamelContext of, Object definition) {
                try {
                    return super.createRoute(of, definition);
                } catch (RuntimeException e) {
                    errors.add(e);
                    RouteDefinition inItsPlace = new RouteDefinition("direct:" + definition.hashCode());
                    inItsPlace
                            .routeId(((RouteDefinition) definition).getRouteId())
                            .stop();
                    return super.createRoute(of, inItsPlace);
                }
            }
        });
        context.addLifecycleStrategy(new LifecycleStrategySupport() {
            @Override
            public void onContextInitialized(CamelContext initialized) throws VetoCamelContextStartException {
                errors.starting = false;
                if (!errors.mistakes.isEmpty()) {
                    throw new VetoCamelContextStartException(
                            "mistakes in routes", errors.mistakes.get(0), initialized, true);
                }
            }

            @Override
            public void onContextStarted(CamelContext started) {
                RouteWatcherReloadStrategy watcher = started.hasService(RouteWatcherReloadStrategy.class);
                if (watcher != null && watcher.getResourceReload() != null) {
                    ResourceReload camels = watcher.getResourceReload();
                    watcher.setResourceReload((file, resource) -> errors.reload(camels, file, resource));
                }
            }
        });
    }

    @Override
    public Processor createProcessor(Route route, NamedNode node) throws Exception {
        try {
            Processor own = super.createProcessor(route, node);
            return own == null && node instanceof ProcessorDefinition<?> step
                    ? ProcessorReifier.reifier(route, step).createProcessor()
                    : own;
        } catch (Exception e) {
            Errors.locate(e, () -> {
                NamedNode culprit = culprit(node, when -> when.getExpression().createPredicate(context) == null);
                return place(node, culprit) + text(culprit);
            });
            add(e);
            return new DelegateAsyncProcessor((Processor) exchange -> {});
        }
    }

    /** @throws E the mistake, unless the start can go on to look for others */
    private <E extends Exception> void add(E mistake) throws E {
        if (!starting) {
            throw mistake;
        }
        mistakes.add(mistake);
    }

    @Override
    public Processor wrapProcessorInInterceptors(
            CamelContext of, NamedNode node, Processor target, Processor nextTarget) {
        if (!evaluates(node)) {
            // each alert goes through each step
            return target;
        }
        return new DelegateAsyncProcessor(target) {
            @Override
            public boolean process(Exchange exchange, AsyncCallback callback) {
                return super.process(exchange, doneSync -> {
                    if (exchange.getException() != null) {
                        Errors.locate(exchange.getException(), () -> evaluated(node, exchange));
                    }
                    callback.done(doneSync);
                });
            }
        };
    }

    /** The errors of other steps are those of a receiver, and say enough; those of toD too, nearly always. */
    private static boolean evaluates(NamedNode node) {
        return node instanceof ChoiceDefinition || !text(node).isEmpty() && !(node instanceof ToDynamicDefinition);
    }

    /** Empty where a step within this one has failed. */
    private String evaluated(NamedNode node, Exchange exchange) {
        NamedNode culprit = culprit(
                node, when -> when.getExpression().createPredicate(context).matches(exchange));
        String text = text(culprit);
        if (text.isEmpty() || hasSteps(node) && culprit == node && canEvaluate(node, exchange)) {
            return "";
        }
        Object body = exchange.getIn().getBody();
        String type = body == null ? "null" : body.getClass().getSimpleName();
        return place(node, culprit) + text + (body instanceof Map ? "" : " on a body of type " + type);
    }

    private static boolean hasSteps(NamedNode node) {
        return node instanceof ProcessorDefinition<?> step && !step.getOutputs().isEmpty();
    }

    private boolean canEvaluate(NamedNode node, Exchange exchange) {
        try {
            if (node instanceof ExpressionNode step) {
                step.getExpression().createExpression(context).evaluate(exchange, Object.class);
            }
            return true;
        } catch (RuntimeException e) {
            return false;
        }
    }

    /**
     * Of a choice the case that fails, since Camel has no step for a case.
     *
     * @param evaluate true for the case that was chosen
     */
    private static NamedNode culprit(NamedNode node, Predicate<WhenDefinition> evaluate) {
        if (node instanceof ChoiceDefinition choice) {
            for (WhenDefinition when : choice.getWhenClauses()) {
                try {
                    if (evaluate.test(when)) {
                        return node;
                    }
                } catch (RuntimeException e) {
                    return when;
                }
            }
        }
        return node;
    }

    /** @param culprit the node, or a case of it */
    private static String place(NamedNode node, NamedNode culprit) {
        RouteDefinition route = ProcessorDefinitionHelper.getRoute(node);
        String file = String.valueOf(culprit.getLocation()).replaceFirst("^file:", "");
        return "%s:%d, route %s, step %s"
                .formatted(
                        file.substring(file.lastIndexOf("routes/") < 0 ? 0 : file.lastIndexOf("routes/")),
                        culprit.getLineNumber(),
                        route == null ? "?" : route.getRouteId(),
                        culprit.getShortName());
    }

    private static String text(NamedNode node) {
        String text = null;
        if (node instanceof ExpressionNode step && step.getExpression() != null) {
            text = step.getExpression().getExpression();
        } else if (node instanceof BasicExpressionNode<?> part && part.getExpression() != null) {
            text = part.getExpression().getExpression();
        } else if (node instanceof LogDefinition log) {
            text = log.getMessage();
        } else if (node instanceof ToDynamicDefinition to) {
            text = to.getUri();
        }
        return text == null ? "" : ", " + text;
    }

    /** A line for each mistake in the routes that the start has met, and for the error that has ended it. */
    static List<String> lines(CamelContext context, Exception error) {
        List<Exception> all = new ArrayList<>();
        if (context != null
                && context.getCamelContextExtension().getContextPlugin(ProcessorFactory.class)
                        instanceof RouteErrors errors) {
            all.addAll(errors.mistakes);
        }
        if (Stream.iterate((Throwable) error, Objects::nonNull, Throwable::getCause)
                .noneMatch(all::contains)) {
            all.add(error);
        }
        // a setting that several routes need is one mistake
        return all.stream()
                .map(mistake -> Errors.forUser(locate(context, mistake)))
                .distinct()
                .toList();
    }

    /** Names the route, of an error that arose outside of its steps. */
    private static Exception locate(CamelContext context, Exception error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            String route = cause instanceof FailedToCreateRouteException created
                    ? created.getRouteId()
                    : cause instanceof FailedToStartRouteException started ? started.getRouteId() : null;
            RouteDefinition definition = route == null ? null : ((ModelCamelContext) context).getRouteDefinition(route);
            if (definition != null) {
                Errors.locate(error, () -> place(definition.getInput(), definition.getInput()));
            }
        }
        return error;
    }

    private void reload(ResourceReload camels, String file, Resource resource) throws IOException {
        byte[] content;
        try (InputStream in = resource.getInputStream()) {
            content = in.readAllBytes();
        }
        // an editor that truncates a file and then writes it is heard twice
        if (content.length == 0 || Arrays.equals(content, reloaded.put(file, content))) {
            return;
        }
        try {
            camels.onReload(file, resource);
            refused.remove(file);
            LOG.info("{} reloaded", file);
        } catch (Exception e) {
            reloaded.remove(file);
            String words = Errors.inWords(locate(context, e));
            if (!words.equals(refused.put(file, words))) {
                LOG.error("{} not reloaded: {}", file, words);
            }
            LOG.debug("{} not reloaded", file, e);
        }
    }
}
