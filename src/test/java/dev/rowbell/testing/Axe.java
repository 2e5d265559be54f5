package dev.rowbell.testing;

import com.microsoft.playwright.Page;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Finds what keeps people with a disability from using a page, by axe-core. */
public final class Axe {

    private static final String SCRIPT = script();

    private Axe() {}

    private static String script() {
        try (InputStream file = Axe.class.getResourceAsStream("/axe.min.js")) {
            return new String(file.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What axe calls serious or critical on the page as it is shown now, each with its elements. */
    @SuppressWarnings("unchecked")
    public static List<String> serious(Page page) {
        // evaluated by the debugger, which the Content-Security-Policy of the page lets run it
        page.evaluate(SCRIPT);
        return (List<String>) page.evaluate("""
                async () => (await axe.run({ resultTypes: ['violations'] })).violations
                  .filter(found => ['serious', 'critical'].includes(found.impact))
                  .map(found => `${found.id}: ${found.nodes.map(node => node.html + ' ' + node.failureSummary).join(' ')}`)""");
    }
}
