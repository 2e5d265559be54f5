package dev.rowbell.alert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AlertTimeTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "2026-11-23T08:00:00.123456Z",
                "0000-02-29T23:59:59.999999Z",
                "2000-02-29T00:00:00.000001Z",
                "9999-12-31T23:59:59.999999Z",
                "2026-11-23T24:00:00.000000Z",
                "2026-11-23T08:00:00Z",
                "2026-11-23T08:00:00+01:00",
                "-4712-01-01T00:00:00Z",
                "+999999999-12-31T23:59:59Z"
            })
    void aTimeIsReadAsTheLibraryReadsIt(String text) {
        assertEquals(Instant.parse(text), AlertTime.parse(text));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "infinity",
                "2026-11-23T08:00:00.123456 ",
                "2026-11-23 08:00:00.123456Z",
                "2026-02-30T08:00:00.123456Z",
                "2026-00-01T08:00:00.123456Z",
                "2026-11-23T25:00:00.000000Z",
                "2026-11-23T08:60:00.000000Z",
                "2026-11-23T08:00:61.000000Z",
                "٢٠٢٦-11-23T08:00:00.123456Z",
                "2026-11-23T08:00:00.12345xZ"
            })
    void whatIsNoTimeIsNone(String text) {
        assertNull(AlertTime.parse(text));
    }

    @Test
    void noTextIsNoTime() {
        assertNull(AlertTime.parse(null));
        assertNull(AlertTime.parse(1_700_000_000));
    }
}
