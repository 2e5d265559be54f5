package dev.rowbell.web;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.health.Metrics;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Collections;
import java.util.Optional;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.Test;

class LatenciesTest {

    private final Instant now = Instant.parse("2026-11-23T08:00:00Z");
    private final MeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    private final CamelContext context = new DefaultCamelContext();
    private final Metrics metrics = new Metrics(context, Clock.fixed(now, ZoneOffset.UTC));
    private final Rates rates = new Rates(context);

    LatenciesTest() {
        context.getRegistry().bind("registry", registry);
    }

    private void delivered(String sink, int alerts, Duration latency) {
        metrics.delivered(sink, Collections.nCopies(alerts, now.minus(latency).toString()));
    }

    private static Optional<Duration> millis(long millis) {
        return Optional.of(Duration.ofMillis(millis));
    }

    @Test
    void theyAreThoseOfAllSinksRightToTheBucket() {
        assertEquals(Optional.empty(), Latencies.of(registry).within(0.5));
        delivered("mail", 10, Duration.ofMillis(3));
        delivered("http", 10, Duration.ofMillis(300));
        Latencies both = Latencies.of(registry);
        assertEquals(20, both.total());
        assertEquals(millis(5), both.within(0.5));
        assertEquals(millis(375), both.within(0.75));
        assertEquals(millis(500), both.within(1));
    }

    @Test
    void whatWasBeforeIsLeftOut() {
        delivered("mail", 1000, Duration.ofMinutes(10));
        Latencies before = Latencies.of(registry);
        delivered("mail", 2, Duration.ofMillis(3));
        assertEquals(millis(5), Latencies.of(registry).since(before).within(1));
        assertEquals(
                Optional.empty(),
                Latencies.of(registry).since(Latencies.of(registry)).within(0.99));
    }

    @Test
    void whatTookLongerThanAnHourCountsAsOne() {
        delivered("mail", 1, Duration.ofDays(3));
        assertEquals(Optional.of(Duration.ofHours(1)), Latencies.of(registry).within(1));
    }

    @Test
    void anHourHasABarForEachMinuteInWhichAlertsWereDelivered() {
        rates.sample();
        assertEquals(null, rates.hour().latency());
        delivered("mail", 100, Duration.ofMillis(90));
        rates.sample();
        rates.sample();
        delivered("mail", 200, Duration.ofSeconds(50));
        Rates.Latency latency = rates.hour().latency();
        assertEquals(2, latency.halves().size());
        assertEquals("40.0", latency.nearlyAlls().get(1).height());
        assertTrue(Double.parseDouble(latency.nearlyAlls().get(0).height()) < 20, latency.toString());
        assertEquals("26 s 59 s 59 s", latency.half() + " " + latency.nearlyAll() + " " + latency.most());
        for (int i = 0; i < 60; i++) {
            rates.sample();
        }
        assertEquals(null, rates.hour().latency());
    }
}
