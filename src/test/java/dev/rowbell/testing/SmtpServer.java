package dev.rowbell.testing;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** A real SMTP server on loopback that answers a recipient as it is told: GreenMail accepts every recipient. */
public final class SmtpServer implements AutoCloseable {

    private final ServerSocket server;
    private final AtomicInteger recipients = new AtomicInteger();
    private final AtomicInteger taken = new AtomicInteger();
    private final List<String> messageIds = new CopyOnWriteArrayList<>();
    private volatile Answer answer = out -> say(out, "250 OK");
    private volatile AfterData afterData = AfterData.ANSWER;

    /** What it does with a mail that it has read. */
    public enum AfterData {
        ANSWER,
        HANG,
        HANG_UP
    }

    /** Writes the answer to a command. */
    public interface Answer {
        void give(OutputStream out) throws IOException;
    }

    public SmtpServer() {
        this(0);
    }

    public SmtpServer(int port) {
        try {
            server = new ServerSocket(port, 50, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Thread thread = new Thread(this::accept, "smtp");
        thread.setDaemon(true);
        thread.start();
    }

    public int port() {
        return server.getLocalPort();
    }

    /** What it says to a recipient, as {@code 550 no such user}. */
    public void answer(String line) {
        answer(out -> say(out, line));
    }

    /** The same, for what is no line. */
    public void answer(Answer answer) {
        this.answer = answer;
    }

    public void afterData(AfterData afterData) {
        this.afterData = afterData;
    }

    /** Of every mail that it has read, also where it did not say so. */
    public List<String> messageIds() {
        return messageIds;
    }

    public int recipients() {
        return recipients.get();
    }

    public int taken() {
        return taken.get();
    }

    private void accept() {
        while (!server.isClosed()) {
            try (Socket socket = server.accept()) {
                talk(socket);
            } catch (IOException e) {
                // the client or the test has gone
            }
        }
    }

    private void talk(Socket socket) throws IOException {
        BufferedReader in =
                new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
        OutputStream out = socket.getOutputStream();
        say(out, "220 test");
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String command = line.toUpperCase();
            if (command.startsWith("RCPT")) {
                recipients.incrementAndGet();
                answer.give(out);
            } else if (command.equals("DATA")) {
                say(out, "354 go on");
                for (String text = in.readLine(); text != null && !text.equals("."); text = in.readLine()) {
                    if (text.startsWith("Message-ID: ")) {
                        messageIds.add(text.substring(12));
                    }
                }
                taken.incrementAndGet();
                if (afterData == AfterData.HANG_UP) {
                    return;
                } else if (afterData == AfterData.HANG) {
                    in.readLine();
                    return;
                }
                say(out, "250 OK");
            } else if (command.equals("QUIT")) {
                say(out, "221 bye");
                return;
            } else {
                say(out, "250 OK");
            }
        }
    }

    private static void say(OutputStream out, String line) throws IOException {
        out.write((line + "\r\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
