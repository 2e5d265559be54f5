package dev.rowbell.spring;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.List;
import java.util.Properties;
import org.junit.jupiter.api.Test;

/** What an IDE completes in the properties of an application. */
class MetadataTest {

    @Test
    void everySettingHasItsMetadata() throws IOException {
        Properties settings = new Properties();
        settings.load(getClass().getResourceAsStream("/dev/rowbell/application.properties"));
        settings.setProperty("rowbell.routes", "sources,alerts,file,http,mail,api");
        JsonNode metadata = new ObjectMapper()
                .readTree(getClass().getResource("/META-INF/spring-configuration-metadata.json"))
                .get("properties");
        List<String> names = settings.stringPropertyNames().stream()
                .filter(name -> name.startsWith("rowbell."))
                .toList();
        assertThat(names).hasSizeGreaterThan(40);
        assertThat(metadata)
                .extracting(setting -> setting.get("name").asText())
                .containsExactlyInAnyOrderElementsOf(names);
        assertThat(metadata)
                .allSatisfy(setting -> assertThat(setting.path("defaultValue").asText())
                        .isEqualTo(settings.getProperty(setting.get("name").asText())));
        assertThat(metadata)
                .anySatisfy(setting ->
                        assertThat(setting.path("description").asText()).contains("The most rows of one batch"));
    }
}
