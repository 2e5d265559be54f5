package dev.rowbell.web;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The networks of proxies. */
class NetworkTest {

    @ParameterizedTest
    @CsvSource({
        "10.0.0.0/8, 10.0.0.0, true",
        "10.0.0.0/8, 10.255.255.255, true",
        "10.0.0.0/8, 11.0.0.0, false",
        "10.0.0.0/8, 9.255.255.255, false",
        "10.0.0.0/8, ::ffff:10.1.2.3, true",
        "10.0.0.0/8, ::ffff:11.1.2.3, false",
        "10.0.0.0/8, 0:0:0:0:0:ffff:a01:203, true",
        "10.0.0.0/8, a00::1, false",
        "192.0.2.128/25, 192.0.2.128, true",
        "192.0.2.128/25, 192.0.2.127, false",
        "172.16.0.0/12, 172.31.255.255, true",
        "172.16.0.0/12, 172.32.0.0, false",
        "128.0.0.0/1, 255.1.1.1, true",
        "128.0.0.0/1, 127.1.1.1, false",
        "192.0.2.1, 192.0.2.1, true",
        "192.0.2.1, 192.0.2.2, false",
        "192.0.2.1/32, 192.0.2.1, true",
        "::ffff:192.0.2.1, 192.0.2.1, true",
        "fd00::/8, fd12:3456::1, true",
        "fd00::/8, fc00::1, false",
        "fd00::/8, 253.0.0.1, false",
        "2001:db8:0:8000::/49, 2001:db8:0:ffff::1, true",
        "2001:db8:0:8000::/49, 2001:db8:0:7fff::1, false",
        "::1, 0:0:0:0:0:0:0:1, true",
        "::1/128, ::2, false",
        "::1, example.org, false"
    })
    void anAddressIsInANetworkOrNot(String network, String address, boolean is) {
        assertEquals(is, Network.of(network).contains(address));
    }

    @ParameterizedTest
    @CsvSource({
        "localhost, localhost is no address and no network: write",
        "10.0.0, 10.0.0 is no address",
        "10, 10 is no address",
        "10.0.0.256, 10.0.0.256 is no address",
        "1::2::3/8, 1::2::3/8 is no address",
        "/8, /8 is no address",
        "10.0.0.0/, '10.0.0.0/: give from 1 to 32 bits, as 10.0.0.0/32'",
        "10.0.0.0/33, 10.0.0.0/33: give from 1 to 32 bits",
        "10.0.0.0/-1, 10.0.0.0/-1: give from 1 to 32 bits",
        "10.0.0.0/8/8, 10.0.0.0/8/8: give from 1 to 32 bits",
        "10.0.0.0/255.0.0.0, 10.0.0.0/255.0.0.0: give from 1 to 32 bits",
        "fd00::/129, fd00::/129: give from 1 to 128 bits",
        "0.0.0.0/0, 0.0.0.0/0: give from 1 to 32 bits",
        "10.0.0.5/8, '10.0.0.5/8 is an address within a network: write 10.0.0.5 alone'",
        "fd00::1/64, 'fd00::1/64 is an address within a network: write fd00::1 alone'"
    })
    void whatIsNoNetworkIsRefusedWithTheReason(String text, String reason) {
        String said = assertThrows(IllegalArgumentException.class, () -> Network.of(text))
                .getMessage();
        assertEquals(reason, said.substring(0, Math.min(reason.length(), said.length())));
    }
}
