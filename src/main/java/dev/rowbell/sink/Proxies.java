package dev.rowbell.sink;

import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.hc.client5.http.auth.AuthScope;
import org.apache.hc.client5.http.auth.CredentialsProvider;
import org.apache.hc.client5.http.auth.UsernamePasswordCredentials;
import org.apache.hc.client5.http.impl.auth.SystemDefaultCredentialsProvider;
import org.apache.hc.core5.net.PercentCodec;
import org.apache.hc.core5.net.URIAuthority;

/**
 * The proxy of an address: that of Java, as {@code -Dhttp.proxyHost} sets it, else that of the environment: {@code http_proxy} or {@code https_proxy}
 * unless {@code no_proxy} has the host, each in small letters or in capitals. Loopback addresses have none. Safe for many threads.
 */
final class Proxies extends ProxySelector {

    private static final String ADDRESS = "[0-9.]+|.*:.*";

    private final Map<String, String> environment;

    Proxies(Map<String, String> environment) {
        this.environment = environment;
    }

    /** @throws IllegalArgumentException where the environment has a proxy that cannot be used */
    @Override
    public List<Proxy> select(URI uri) {
        List<Proxy> ofJava = ProxySelector.getDefault() == null
                ? List.of(Proxy.NO_PROXY)
                : ProxySelector.getDefault().select(uri);
        String host = authority(uri).getHostName().toLowerCase(Locale.ROOT);
        if (!ofJava.stream().allMatch(Proxy.NO_PROXY::equals)
                || System.getProperty(uri.getScheme() + ".proxyHost") != null
                || isLoopback(host)
                || Stream.of(variable("no_proxy").split("[,\\s]+"))
                        .anyMatch(entry -> isOf(host, authority(uri).getPort(), entry))) {
            return ofJava;
        }
        URI proxy = proxy(uri.getScheme());
        return proxy == null ? ofJava : List.of(new Proxy(Proxy.Type.HTTP, address(proxy)));
    }

    @Override
    public void connectFailed(URI uri, SocketAddress address, IOException failure) {
        // there is no other to try
    }

    /** The logins of the proxies: of Java, and in the addresses of the environment. */
    CredentialsProvider logins() {
        SystemDefaultCredentialsProvider logins = new SystemDefaultCredentialsProvider();
        Stream.of("http", "https").forEach(scheme -> {
            URI proxy;
            try {
                proxy = proxy(scheme);
            } catch (IllegalArgumentException e) {
                // said when it is to be used
                return;
            }
            String user = proxy == null ? null : authority(proxy).getUserInfo();
            if (user != null) {
                String[] login =
                        PercentCodec.decode(user, StandardCharsets.UTF_8).split(":", 2);
                logins.setCredentials(
                        new AuthScope(
                                address(proxy).getHostString(), address(proxy).getPort()),
                        new UsernamePasswordCredentials(login[0], (login.length < 2 ? "" : login[1]).toCharArray()));
            }
        });
        return logins;
    }

    private String variable(String name) {
        return environment
                .getOrDefault(name, environment.getOrDefault(name.toUpperCase(Locale.ROOT), ""))
                .strip();
    }

    /** Null where there is none. */
    private URI proxy(String scheme) {
        String name = scheme + "_proxy";
        String value = variable(name);
        if (value.isEmpty()) {
            return null;
        }
        try {
            URI proxy = URI.create(value.contains("://") ? value : "http://" + value);
            if (proxy.getScheme().equalsIgnoreCase("http")
                    && !authority(proxy).getHostName().isEmpty()) {
                return proxy;
            }
        } catch (IllegalArgumentException e) {
            // its message has the value, which may have a password
        }
        throw new IllegalArgumentException(name + " in the environment: write the proxy as http://host:port");
    }

    private static InetSocketAddress address(URI proxy) {
        URIAuthority authority = authority(proxy);
        return InetSocketAddress.createUnresolved(
                authority.getHostName(), authority.getPort() < 0 ? 80 : authority.getPort());
    }

    /** Also of a host that Java takes for none, for a letter that the DNS does not allow: names of containers have underscores. */
    static URIAuthority authority(URI uri) {
        try {
            return URIAuthority.create(uri.getRawAuthority());
        } catch (URISyntaxException e) {
            throw new IllegalArgumentException("the address has no host", e);
        }
    }

    private static boolean isLoopback(String host) {
        return host.equals("localhost")
                || host.endsWith(".localhost")
                || host.matches(ADDRESS) && literal(host).isLoopbackAddress();
    }

    /** An entry of no_proxy: a host, with those below it; an address or a network of them, as 10.0.0.0/8; each with a port; or all. */
    private static boolean isOf(String host, int port, String entry) {
        String name = entry.toLowerCase(Locale.ROOT).replaceFirst("^\\*?\\.", "");
        if (name.matches("[^:]+:\\d+")) {
            return name.endsWith(":" + port) && isOf(host, port, name.substring(0, name.indexOf(':')));
        } else if (host.matches(ADDRESS) && name.matches("[0-9a-f.:]+/\\d{1,3}")) {
            byte[] network = literal(name.substring(0, name.indexOf('/'))).getAddress();
            byte[] address = literal(host).getAddress();
            int rest = 8 * network.length - Integer.parseInt(name.substring(name.indexOf('/') + 1));
            return network.length == address.length
                    && rest >= 0
                    && new BigInteger(1, network).shiftRight(rest).equals(new BigInteger(1, address).shiftRight(rest));
        }
        return name.equals("*") || host.equals(name) || !name.isEmpty() && host.endsWith("." + name);
    }

    /** Of an address in figures: no name is looked up. */
    private static InetAddress literal(String address) {
        try {
            return InetAddress.getByName(address);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(address + " is no address", e);
        }
    }
}
