package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;

/** The routes are what the schema in camel-yaml-dsl says, by which editors of YAML check and complete. */
class RoutesSchemaTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "routes/alerts.camel.yaml",
                "routes/file.camel.yaml",
                "routes/http.camel.yaml",
                "routes/mail.camel.yaml",
                "routes/sources.camel.yaml",
                "src/main/resources/dev/rowbell/demo/demo.camel.yaml"
            })
    void aRouteFileIsValidOnceItsPlaceholdersHaveTheirValues(String file) throws Exception {
        Schema schema;
        try (InputStream in = getClass().getResourceAsStream("/schema/camelYamlDsl.json")) {
            schema = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_4)
                    .getSchema(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        }
        try (CamelContext context = new DefaultCamelContext()) {
            Object routes = new Load(LoadSettings.builder().build()).loadFromString(Files.readString(Path.of(file)));
            assertEquals(
                    List.of(),
                    schema.validate(
                            new ObjectMapper().writeValueAsString(resolved(context, routes)), InputFormat.JSON));
        }
    }

    /** A placeholder may stand where the schema wants a boolean: it cannot say so. */
    private static Object resolved(CamelContext context, Object value) {
        if (value instanceof Map<?, ?> map) {
            Map<Object, Object> resolved = new LinkedHashMap<>();
            map.forEach((key, inner) -> resolved.put(key, resolved(context, inner)));
            return resolved;
        } else if (value instanceof List<?> list) {
            return list.stream().map(inner -> resolved(context, inner)).toList();
        } else if (value instanceof String text && text.contains("{{")) {
            String set = context.resolvePropertyPlaceholders(text);
            return set.equals("true") || set.equals("false") ? Boolean.valueOf(set) : set;
        }
        return value;
    }
}
