package dev.rowbell.sink;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import jakarta.mail.MessagingException;
import jakarta.mail.Session;
import jakarta.mail.Transport;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import org.apache.camel.util.UnsafeUriCharactersEncoder;
import org.apache.hc.core5.net.URIAuthority;

/** Whether the receivers that the settings name can be reached. Sends them no alert, and makes no file. */
public final class Reachability {

    private static final long LEAST_SPACE = 100L << 20;

    private Reachability() {}

    /**
     * Connects to the mail server as the route {@code mail} does, and logs in.
     *
     * @return why that is not possible, empty where it is
     */
    public static String mail(Settings settings) {
        String timeout =
                String.valueOf(settings.duration("rowbell.mail.timeout").toMillis());
        String starttls = settings.text("rowbell.mail.starttls");
        Properties properties = new Properties();
        properties.putAll(Map.of(
                "mail.smtp.starttls.enable",
                starttls,
                "mail.smtp.starttls.required",
                starttls,
                "mail.smtp.socketFactory.class",
                MailSockets.class.getName(),
                "mail.smtp.socketFactory.fallback",
                "false",
                "mail.smtp.connectiontimeout",
                timeout,
                "mail.smtp.timeout",
                timeout));
        boolean login = settings.isSet("rowbell.mail.user");
        try (Transport transport = Session.getInstance(properties).getTransport("smtp")) {
            transport.connect(
                    settings.text("rowbell.mail.host"),
                    settings.number("rowbell.mail.port", 1),
                    login ? settings.text("rowbell.mail.user") : null,
                    login ? settings.password("rowbell.mail.password") : null);
            return "";
        } catch (MessagingException e) {
            return Errors.inWords(e);
        }
    }

    /**
     * Connects to the receiver of {@code rowbell.http.url}, by its proxy where it has one, and checks its certificate. Sends no request.
     *
     * @return why that is not possible, empty where it is
     */
    public static String http(Settings settings) {
        // as the HTTP client does; an error that Java makes of an address has all of it
        URI address = URI.create(UnsafeUriCharactersEncoder.encodeHttpURI(settings.text("rowbell.http.url")));
        boolean tls = address.getScheme().equals("https");
        URIAuthority authority = Proxies.authority(address);
        String host = authority.getHostName();
        int port = authority.getPort() >= 0 ? authority.getPort() : tls ? 443 : 80;
        int timeout = (int) settings.duration("rowbell.http.connect-timeout").toMillis();
        Proxy proxy = new Proxies(System.getenv()).select(address).get(0);
        try (Socket socket = new Socket(proxy)) {
            socket.connect(
                    proxy.type() == Proxy.Type.DIRECT
                            ? new InetSocketAddress(host, port)
                            : InetSocketAddress.createUnresolved(host, port),
                    timeout);
            socket.setSoTimeout(timeout);
            if (tls) {
                SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
                try (SSLSocket secured = (SSLSocket) factory.createSocket(socket, host, port, true)) {
                    SSLParameters parameters = secured.getSSLParameters();
                    parameters.setEndpointIdentificationAlgorithm("HTTPS");
                    secured.setSSLParameters(parameters);
                    secured.startHandshake();
                }
            }
            return "";
        } catch (IOException e) {
            return Errors.inWords(e);
        }
    }

    /**
     * Looks whether files of alerts could be written.
     *
     * @return why that is not possible, empty where it is
     */
    public static String file(Settings settings) {
        Path dir = Path.of(settings.text("rowbell.file.dir")).toAbsolutePath();
        Path there = dir;
        while (!Files.exists(there)) {
            there = there.getParent();
        }
        if (!Files.isDirectory(there)) {
            return there + " is no directory";
        } else if (!Files.isWritable(there)) {
            return "%s may not write to %s".formatted(System.getProperty("user.name"), there);
        }
        try {
            long space = Files.getFileStore(there).getUsableSpace();
            return space < LEAST_SPACE ? "the disk of %s has only %d MB left".formatted(there, space >> 20) : "";
        } catch (IOException e) {
            return Errors.inWords(e);
        }
    }
}
