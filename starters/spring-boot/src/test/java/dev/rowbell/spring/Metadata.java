package dev.rowbell.spring;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes what an IDE completes in the properties of an application, from the settings in the jar of Rowbell. The build runs it. */
public final class Metadata {

    private Metadata() {}

    /** @param arguments the file to write */
    public static void main(String[] arguments) throws IOException {
        Path file = Path.of(arguments[0]);
        Files.createDirectories(file.getParent());
        new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(file.toFile(), Map.of("properties", settings()));
    }

    private static List<Map<String, Object>> settings() throws IOException {
        List<Map<String, Object>> settings = new ArrayList<>();
        settings.add(setting(
                "rowbell.routes",
                "sources,alerts,file,http,mail,api",
                "The shipped routes to run, separated by commas. Empty: none."));
        settings.addAll(shipped());
        return settings;
    }

    /** With the comment that stands right above each. */
    private static List<Map<String, Object>> shipped() throws IOException {
        List<Map<String, Object>> settings = new ArrayList<>();
        StringBuilder comment = new StringBuilder();
        try (BufferedReader file = new BufferedReader(new InputStreamReader(
                Metadata.class.getResourceAsStream("/dev/rowbell/application.properties"), StandardCharsets.UTF_8))) {
            for (String line = file.readLine(); line != null; line = file.readLine()) {
                if (line.startsWith("# ") && !line.startsWith("# --")) {
                    comment.append(line.substring(1));
                    continue;
                }
                int equals = line.indexOf('=');
                if (line.startsWith("rowbell.") && equals > 0) {
                    settings.add(setting(
                            line.substring(0, equals),
                            line.substring(equals + 1),
                            comment.toString().strip()));
                }
                comment.setLength(0);
            }
        }
        return settings;
    }

    private static Map<String, Object> setting(String name, String value, String description) {
        Map<String, Object> setting = new LinkedHashMap<>();
        setting.put("name", name);
        setting.put("type", type(value).getName());
        if (!description.isEmpty()) {
            setting.put("description", description.endsWith(".") ? description : description + ".");
        }
        if (!value.isEmpty()) {
            setting.put("defaultValue", value);
        }
        return setting;
    }

    private static Class<?> type(String value) {
        if (value.matches("true|false")) {
            return Boolean.class;
        }
        return value.matches("\\d+") ? Integer.class : String.class;
    }
}
