package dev.rowbell.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Base64;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

/**
 * An SMTP server on loopback that takes mail only after STARTTLS (RFC 3207) and AUTH PLAIN or LOGIN (RFC
 * 4954); GreenMail has no STARTTLS.
 */
public final class StartTlsServer implements AutoCloseable {

    private final String user;
    private final String password;
    private final SSLContext tls;
    private final ServerSocket server;
    private final ExecutorService thread = Executors.newSingleThreadExecutor();
    private final AtomicInteger accepted = new AtomicInteger();
    private volatile boolean encrypted;

    /** @param dir where it may keep a key made for the occasion */
    public StartTlsServer(Path dir, String user, String password)
            throws IOException, GeneralSecurityException, InterruptedException {
        tls = context(dir.resolve("smtp.p12"));
        this.user = user;
        this.password = password;
        server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
        thread.execute(() -> {
            while (!server.isClosed()) {
                try (Socket socket = server.accept()) {
                    talk(socket);
                } catch (IOException e) {
                    if (!server.isClosed()) {
                        throw new UncheckedIOException(e);
                    }
                }
            }
        });
    }

    private static SSLContext context(Path file) throws IOException, GeneralSecurityException, InterruptedException {
        char[] password = "changeit".toCharArray();
        assertEquals(
                0,
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "keytool")
                                        .toString(),
                                "-genkeypair",
                                "-alias",
                                "smtp",
                                "-keyalg",
                                "EC",
                                "-dname",
                                "CN=127.0.0.1",
                                "-ext",
                                "san=ip:127.0.0.1",
                                "-storetype",
                                "PKCS12",
                                "-keystore",
                                file.toString(),
                                "-storepass",
                                new String(password))
                        .start()
                        .waitFor());
        KeyStore store = KeyStore.getInstance(file.toFile(), password);
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, password);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return context;
    }

    public int port() {
        return server.getLocalPort();
    }

    /** Mails taken from who logged in. */
    public int accepted() {
        return accepted.get();
    }

    public boolean wasEncrypted() {
        return encrypted;
    }

    private void talk(Socket plain) throws IOException {
        Socket socket = plain;
        BufferedReader in = reader(socket);
        boolean loggedIn = false;
        say(socket, "220 ready");
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String command = line.split(" ")[0].toUpperCase();
            if (command.equals("EHLO")) {
                say(socket, socket instanceof SSLSocket ? "250-me\r\n250 AUTH PLAIN LOGIN" : "250-me\r\n250 STARTTLS");
            } else if (command.equals("STARTTLS")) {
                say(socket, "220 go ahead");
                SSLSocket secure = (SSLSocket) tls.getSocketFactory().createSocket(plain, null, plain.getPort(), false);
                secure.setUseClientMode(false);
                socket = secure;
                in = reader(socket);
            } else if (command.equals("AUTH")) {
                loggedIn = socket instanceof SSLSocket && login(line, socket, in);
                say(socket, loggedIn ? "235 welcome" : "535 no");
            } else if (command.equals("DATA") && loggedIn) {
                say(socket, "354 go on");
                while (!".".equals(in.readLine())) {
                    // the mail itself is GreenMail's to check
                }
                encrypted = true;
                accepted.incrementAndGet();
                say(socket, "250 taken");
            } else if (command.equals("QUIT")) {
                say(socket, "221 bye");
                return;
            } else {
                say(socket, loggedIn ? "250 ok" : "530 log in first");
            }
        }
    }

    private boolean login(String line, Socket socket, BufferedReader in) throws IOException {
        String[] words = line.split(" ");
        if (words[1].equals("PLAIN")) {
            return decode(words[2]).equals("\0" + user + "\0" + password);
        }
        String name = words.length > 2 ? words[2] : ask(socket, in, "VXNlcm5hbWU6");
        return decode(name).equals(user)
                & decode(ask(socket, in, "UGFzc3dvcmQ6")).equals(password);
    }

    private static String ask(Socket socket, BufferedReader in, String question) throws IOException {
        say(socket, "334 " + question);
        return in.readLine();
    }

    private static String decode(String base64) {
        return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
    }

    private static BufferedReader reader(Socket socket) throws IOException {
        return new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
    }

    private static void say(Socket socket, String line) throws IOException {
        OutputStream out = socket.getOutputStream();
        out.write((line + "\r\n").getBytes(StandardCharsets.US_ASCII));
        out.flush();
    }

    @Override
    public void close() throws IOException {
        server.close();
        thread.shutdownNow();
    }
}
