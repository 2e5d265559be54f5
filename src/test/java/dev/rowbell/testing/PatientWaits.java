package dev.rowbell.testing;

import java.time.Duration;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Lets every {@code await()} wait for a minute and look often: a wait that is met costs nothing, and on a busy
 * machine a start alone may take a minute. Only a test of how long something takes sets its own limit. JUnit
 * finds this class by META-INF/services.
 */
public final class PatientWaits implements BeforeAllCallback {

    @Override
    public void beforeAll(ExtensionContext context) {
        Awaitility.setDefaultTimeout(Duration.ofSeconds(60));
        Awaitility.setDefaultPollInterval(Duration.ofMillis(50));
        Awaitility.setDefaultPollDelay(Duration.ofMillis(10));
    }
}
