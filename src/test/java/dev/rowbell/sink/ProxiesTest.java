package dev.rowbell.sink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.net.Proxy;
import java.net.URI;
import java.util.List;
import java.util.Map;
import org.apache.hc.client5.http.auth.AuthScope;
import org.apache.hc.client5.http.auth.UsernamePasswordCredentials;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The proxies of the environment, as other programs read it. */
class ProxiesTest {

    private static String proxy(Map<String, String> environment, String address) {
        List<Proxy> proxies = new Proxies(environment).select(URI.create(address));
        assertEquals(1, proxies.size());
        return proxies.get(0).type() == Proxy.Type.DIRECT
                ? "none"
                : proxies.get(0).address().toString().replaceFirst("/<unresolved>", "");
    }

    @ParameterizedTest
    @CsvSource({
        "http_proxy,  http://proxy:3128,              http://a.example.org,  proxy:3128",
        "HTTP_PROXY,  proxy:3128,                     http://a.example.org,  proxy:3128",
        "http_proxy,  http://proxy:3128/,             https://a.example.org, none",
        "https_proxy, http://bob:s3cret@proxy:3128/,  https://a.example.org, proxy:3128",
        "HTTPS_PROXY, http://proxy,                   https://a.example.org, proxy:80",
        "HTTPS_PROXY, ' ',                            https://a.example.org, none",
        "http_proxy,  http://proxy:3128,              http://alert_receiver, proxy:3128",
        "https_proxy, http://my_proxy:3128,           https://a.example.org, my_proxy:3128",
        "http_proxy,  http://proxy:3128,              http://localhost:8080, none",
        "http_proxy,  http://proxy:3128,              http://127.1.2.3,      none",
        "http_proxy,  http://proxy:3128,              http://[::1]:80,       none"
    })
    void theEnvironmentNamesTheProxyOfAScheme(String name, String value, String address, String proxy) {
        assertEquals(proxy, proxy(Map.of(name, value), address));
    }

    @ParameterizedTest
    @CsvSource({
        "'a.example.org',                 none",
        "'example.org',                   none",
        "'.example.org',                  none",
        "'*.example.org',                 none",
        "'EXAMPLE.org',                   none",
        "'other.org, a.example.org:8080', none",
        "'a.example.org:80',              proxy:3128",
        "'ample.org',                     proxy:3128",
        "'b.example.org,c',               proxy:3128",
        "'*',                             none",
        "'10.0.0.0/8',                    proxy:3128",
        "'',                              proxy:3128"
    })
    void aHostOfNoProxyHasNone(String without, String proxy) {
        for (String name : List.of("no_proxy", "NO_PROXY")) {
            assertEquals(
                    proxy,
                    proxy(Map.of("http_proxy", "http://proxy:3128", name, without), "http://a.example.org:8080/x"));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "10.0.0.0/8,    http://10.1.2.3,        none",
        "10.1.2.3,      http://10.1.2.3,        none",
        "10.1.2.0/25,   http://10.1.2.200,      proxy:3128",
        "fe80::/10,     http://[fe80::1]:8080,  none",
        "10.0.0.0/99,   http://10.1.2.3,        proxy:3128",
        "fe80::/10,     http://10.1.2.3,        proxy:3128"
    })
    void aNetworkOfNoProxyHasNone(String without, String address, String proxy) {
        assertEquals(proxy, proxy(Map.of("http_proxy", "http://proxy:3128", "no_proxy", without), address));
    }

    @Test
    void aProxyThatCannotBeUsedIsRefusedByNameAndWithoutItsPassword() {
        for (String value : List.of("socks5://bob:s3cret@proxy:1080", "http://bob:s3 cret@proxy", "http://:3128")) {
            String refused = assertThrows(
                            IllegalArgumentException.class,
                            () -> proxy(Map.of("https_proxy", value), "https://a.example.org"))
                    .getMessage();
            assertEquals("https_proxy in the environment: write the proxy as http://host:port", refused);
            assertFalse(refused.contains("s3"), refused);
        }
    }

    @Test
    void theLoginInTheAddressOfAProxyIsUsedThere() {
        UsernamePasswordCredentials login =
                (UsernamePasswordCredentials) new Proxies(Map.of("https_proxy", "http://bob:p%40ss@proxy:3128"))
                        .logins()
                        .getCredentials(new AuthScope("proxy", 3128), null);
        assertEquals("bob", login.getUserName());
        assertEquals("p@ss", new String(login.getUserPassword()));
    }
}
