package dev.rowbell.sink;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.component.http.HttpClientConfigurer;
import org.apache.camel.component.http.HttpComponent;
import org.apache.camel.support.jsse.SSLContextParameters;
import org.apache.hc.client5.http.classic.ExecChain;
import org.apache.hc.client5.http.impl.ChainElement;
import org.apache.hc.client5.http.impl.classic.HttpClientBuilder;
import org.apache.hc.client5.http.impl.io.ManagedHttpClientConnectionFactory;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.client5.http.ssl.DefaultClientTlsStrategy;
import org.apache.hc.client5.http.ssl.TlsSocketStrategy;
import org.apache.hc.core5.http.ClassicHttpRequest;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.HttpException;
import org.apache.hc.core5.http.HttpHeaders;
import org.apache.hc.core5.http.HttpStatus;
import org.apache.hc.core5.http.Method;
import org.apache.hc.core5.http.config.Http1Config;
import org.apache.hc.core5.http.impl.io.HttpRequestExecutor;
import org.apache.hc.core5.http.io.HttpClientConnection;
import org.apache.hc.core5.http.io.HttpResponseInformationCallback;
import org.apache.hc.core5.http.io.entity.BufferedHttpEntity;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.apache.hc.core5.http.protocol.HttpContext;
import org.apache.hc.core5.io.CloseMode;
import org.apache.hc.core5.io.Closer;
import org.apache.hc.core5.net.PercentCodec;
import org.apache.hc.core5.ssl.SSLContexts;

/**
 * Limits what a receiver can do to a request. One whose TLS handshake or response is not complete in time is ended, be it the response of a proxy: the
 * timeout of the HTTP client is no such limit, it begins anew with each byte that arrives. Lines and headers of a response are limited in length and
 * number, and of its body the beginning alone is kept, for the history; so there are no cookies and no decompression. A request
 * says how long its body is, and takes the proxy that Java or the environment names. Safe for many threads.
 */
public final class Deadline implements HttpClientConfigurer {

    private static final Http1Config LIMITS = Http1Config.custom()
            .setMaxLineLength(16 * 1024)
            .setMaxHeaderCount(200)
            .build();

    /** A longer body is not read to its end: the connection is closed instead. */
    private static final int BODY_AT_MOST = 64 * 1024;

    /** Of a body, in bytes: 500 characters of any language. */
    private static final int KEPT = 2000;

    /** Of a part of an address, in characters, from which on it is taken for a secret. */
    private static final int SECRET = 8;

    /** The attribute of a request's context that holds the task which ends the request. */
    private static final String END = "rowbell.deadline";

    private final CamelContext context;
    private final Supplier<Duration> time;
    private final ScheduledThreadPoolExecutor timer;

    /** @param time for the answer of a proxy, for the TLS handshake, and from the request to the end of the response; asked for each */
    public Deadline(CamelContext context, Supplier<Duration> time) {
        this.context = context;
        this.time = time;
        timer = new ScheduledThreadPoolExecutor(1, task -> {
            Thread thread = new Thread(task, "rowbell http deadline");
            thread.setDaemon(true);
            return thread;
        });
        timer.setRemoveOnCancelPolicy(true);
        // no thread while no request runs
        timer.setKeepAliveTime(10, TimeUnit.SECONDS);
        timer.allowCoreThreadTimeOut(true);
    }

    @Override
    public void configureHttpClient(HttpClientBuilder builder) {
        Proxies proxies = new Proxies(System.getenv());
        // the outbox retries, and counts the tries
        builder.disableAutomaticRetries()
                .disableCookieManagement()
                .disableContentCompression()
                .setProxySelector(proxies)
                .setDefaultCredentialsProvider(proxies.logins());
        HttpComponent component = context.getComponent("http", HttpComponent.class);
        // Camel's own has no limits
        builder.setConnectionManager(PoolingHttpClientConnectionManagerBuilder.create()
                        .useSystemProperties()
                        .setTlsSocketStrategy(tls(component))
                        .setMaxConnPerRoute(component.getConnectionsPerRoute())
                        .setMaxConnTotal(component.getMaxTotalConnections())
                        .setConnectionFactory(ManagedHttpClientConnectionFactory.builder()
                                .http1Config(LIMITS)
                                .build())
                        .build())
                .setConnectionManagerShared(false);
        builder.addExecInterceptorBefore(ChainElement.PROTOCOL.name(), "rowbell body", this::exchange);
        builder.setRequestExecutor(new HttpRequestExecutor() {
            @Override
            public ClassicHttpResponse execute(
                    ClassicHttpRequest request,
                    HttpClientConnection connection,
                    HttpResponseInformationCallback informed,
                    HttpContext attributes)
                    throws IOException, HttpException {
                ClassicHttpResponse response =
                        inTime(() -> super.execute(request, connection, informed, attributes), connection, attributes);
                if (Method.CONNECT.isSame(request.getMethod()) && response.getCode() < HttpStatus.SC_REDIRECTION) {
                    // the TLS handshake has a time of its own
                    cancel(attributes);
                }
                return response;
            }
        });
    }

    /** By the settings of Camel's HTTP component, if there are any. A handshake that is not complete in time is ended. */
    private TlsSocketStrategy tls(HttpComponent component) {
        SSLContextParameters parameters = component.getSslContextParameters();
        if (parameters == null && component.isUseGlobalSslContextParameters()) {
            parameters = context.getSSLContextParameters();
        }
        try {
            TlsSocketStrategy strategy = new DefaultClientTlsStrategy(
                    parameters == null ? SSLContexts.createSystemDefault() : parameters.createSSLContext(context),
                    component.getX509HostnameVerifier());
            return (socket, target, port, attachment, clientContext) -> {
                Duration most = time.get();
                AtomicBoolean late = new AtomicBoolean();
                Future<?> end = end(() -> Closer.closeQuietly(socket), most, late);
                try {
                    return strategy.upgrade(socket, target, port, attachment, clientContext);
                } catch (IOException e) {
                    throw late.get() ? late("no whole TLS handshake", most, e) : e;
                } finally {
                    end.cancel(false);
                }
            };
        } catch (GeneralSecurityException | IOException e) {
            throw new IllegalArgumentException("the TLS settings of the component http cannot be used", e);
        }
    }

    private interface Request {
        ClassicHttpResponse run() throws IOException, HttpException;
    }

    /** The time goes on until the body was read. */
    private ClassicHttpResponse inTime(Request request, HttpClientConnection connection, HttpContext attributes)
            throws IOException, HttpException {
        Duration most = time.get();
        AtomicBoolean late = new AtomicBoolean();
        cancel(attributes);
        Future<?> end = end(() -> connection.close(CloseMode.IMMEDIATE), most, late);
        try {
            ClassicHttpResponse response = request.run();
            attributes.setAttribute(END, end);
            return response;
        } catch (IOException | HttpException | RuntimeException e) {
            if (late.get()) {
                throw late("no whole answer", most, e);
            }
            end.cancel(false);
            throw e;
        }
    }

    private static void cancel(HttpContext attributes) {
        if (attributes.getAttribute(END) instanceof Future<?> end) {
            end.cancel(false);
        }
    }

    /** @param late set before the connection is closed: the request may fail by that before the task has ended */
    private Future<?> end(Runnable close, Duration most, AtomicBoolean late) {
        return timer.schedule(
                () -> {
                    late.set(true);
                    close.run();
                },
                most.toMillis(),
                TimeUnit.MILLISECONDS);
    }

    private static SocketTimeoutException late(String what, Duration most, Exception cause) {
        SocketTimeoutException late = new SocketTimeoutException("%s within %d ms".formatted(what, most.toMillis()));
        late.addSuppressed(cause);
        return late;
    }

    /** Removes from a body the parts of the path and query of the request, which may be secrets. */
    private static byte[] withoutAddress(byte[] body, String address) {
        String path = address.replaceFirst("\\?.*", "");
        Stream<String> whole = Stream.of(address, path).filter(part -> part.length() > 1);
        Stream<String> parts = Stream.of(address.split("[/?&=]+")).filter(part -> part.length() >= SECRET);
        // as bytes are
        String text = new String(body, StandardCharsets.ISO_8859_1);
        for (String part : Stream.concat(whole, parts)
                .flatMap(part -> Stream.of(part, decoded(part)))
                .toList()) {
            text = text.replace(part, "...");
        }
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String decoded(String part) {
        return new String(
                PercentCodec.decode(part, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8),
                StandardCharsets.ISO_8859_1);
    }

    /**
     * Some receivers refuse a body of unknown length, so its length is found out. Of the response a short body is read, so that the connection can be
     * used again; whatever it is, the status says what became of the request.
     */
    private ClassicHttpResponse exchange(ClassicHttpRequest request, ExecChain.Scope scope, ExecChain chain)
            throws IOException, HttpException {
        if (request.getEntity() != null && request.getEntity().getContentLength() < 0) {
            request.setEntity(new BufferedHttpEntity(request.getEntity()));
        }
        ClassicHttpResponse response = chain.proceed(request, scope);
        if (response.getEntity() != null) {
            byte[] beginning = {};
            try (InputStream body = response.getEntity().getContent()) {
                beginning = body.readNBytes(KEPT);
                body.skipNBytes(BODY_AT_MOST - KEPT);
                scope.execRuntime.discardEndpoint();
            } catch (EOFException e) {
                // its end: the connection is back in the pool
            } catch (IOException e) {
                scope.execRuntime.discardEndpoint();
            }
            // what is compressed is nothing to read
            response.setEntity(
                    beginning.length == 0 || response.containsHeader(HttpHeaders.CONTENT_ENCODING)
                            ? null
                            : new ByteArrayEntity(
                                    withoutAddress(beginning, request.getPath()),
                                    ContentType.parseLenient(
                                            response.getEntity().getContentType())));
        }
        cancel(scope.clientContext);
        return response;
    }
}
