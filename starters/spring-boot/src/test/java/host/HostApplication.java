package host;

import ch.qos.logback.classic.LoggerContext;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.camel.CamelContext;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.support.PluginHelper;
import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.actuate.health.HealthEndpoint;
import org.springframework.boot.actuate.health.SystemHealth;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.autoconfigure.condition.ConditionEvaluationReport;
import org.springframework.context.ConfigurableApplicationContext;

/** An application that knows nothing of Rowbell, and writes into a file what it is like, a line for each matter. */
@SpringBootApplication
public class HostApplication extends RouteBuilder {

    @Override
    public void configure() {
        from("direct:own").id("mail").setBody(simple("${body[id]} ${body[lines].size}"));
    }

    public static void main(String[] arguments) throws IOException {
        try (ConfigurableApplicationContext application = SpringApplication.run(HostApplication.class, arguments)) {
            Files.write(Path.of(application.getEnvironment().getProperty("host.state")), state(application));
        }
    }

    private static TreeSet<String> state(ConfigurableApplicationContext application) {
        TreeSet<String> state = new TreeSet<>();
        for (String name : application.getBeanDefinitionNames()) {
            Class<?> type = application.getType(name);
            // the configurations themselves are named below
            if (!name.contains("AutoConfiguration") && !name.startsWith("spring.")) {
                state.add("bean " + name + " " + type.getName().replaceFirst("Lambda.*", "Lambda"));
            }
        }
        ConditionEvaluationReport.get(application.getBeanFactory())
                .getConditionAndOutcomesBySource()
                .forEach((source, outcomes) -> {
                    if (outcomes.isFullMatch()) {
                        state.add("auto-configuration " + source);
                    }
                });
        ((LoggerContext) LoggerFactory.getILoggerFactory())
                .getLoggerList().stream()
                        .filter(logger -> logger.getLevel() != null
                                || logger.iteratorForAppenders().hasNext())
                        .forEach(logger -> state.add("logger " + logger.getName() + " " + logger.getLevel()));
        application
                .getBean(ObjectMapper.class)
                .getRegisteredModuleIds()
                .forEach(module -> state.add("JSON module " + module));
        ((SystemHealth) application.getBean(HealthEndpoint.class).health())
                .getComponents()
                .keySet()
                .forEach(name -> state.add("health " + name));
        application
                .getEnvironment()
                .getPropertySources()
                .forEach(source -> state.add("properties " + source.getName()));
        CamelContext camel = application.getBean(CamelContext.class);
        state.add("body "
                + camel.createFluentProducerTemplate()
                        .to("direct:own")
                        .withBody(Map.of("id", 7, "lines", List.of("a", "b")))
                        .request(String.class));
        state.add("bean language " + camel.resolveLanguage("bean").getClass().getName());
        state.add("processors "
                + PluginHelper.getProcessorFactory(camel).getClass().getName());
        state.add("interceptors " + camel.getCamelContextExtension().getInterceptStrategies());
        state.add("timeout " + camel.getShutdownStrategy().getTimeout());
        return state;
    }
}
