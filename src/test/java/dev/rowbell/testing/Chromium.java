package dev.rowbell.testing;

import static org.junit.jupiter.api.Assertions.assertFalse;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.assertions.PlaywrightAssertions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/**
 * A real Chromium without a window, as Debian packages it. Without one its tests are skipped, unless ROWBELL_TEST_CHROMIUM is {@code required}. For one
 * thread.
 */
public final class Chromium implements AutoCloseable {

    private final Playwright playwright;
    private final Browser browser;

    public Chromium() {
        // the machine may be busy
        PlaywrightAssertions.setDefaultAssertionTimeout(60_000);
        Path program = program();
        playwright = Playwright.create(
                new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        browser = playwright
                .chromium()
                .launch(new BrowserType.LaunchOptions()
                        .setExecutablePath(program)
                        // root of a container may have none, and it opens our own pages alone
                        .setArgs(List.of("--no-sandbox"))
                        .setTimeout(180_000));
    }

    private static Path program() {
        Path found = Stream.of("chromium", "chromium-browser", "google-chrome")
                .map(name -> Path.of("/usr/bin", name))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
        String missing = "chromium is not installed: apt-get install chromium";
        assertFalse(found == null && "required".equals(System.getenv("ROWBELL_TEST_CHROMIUM")), missing);
        Assumptions.assumeFalse(found == null, missing);
        return found;
    }

    public Browser browser() {
        return browser;
    }

    @Override
    public void close() {
        playwright.close();
    }
}
