package dev.rowbell.sink;

import java.io.IOException;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.camel.component.http.HttpClientConfigurer;
import org.apache.hc.client5.http.classic.ExecChain;
import org.apache.hc.client5.http.impl.ChainElement;
import org.apache.hc.client5.http.impl.classic.HttpClientBuilder;
import org.apache.hc.core5.http.ClassicHttpRequest;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.HttpException;

/**
 * Ends a request whose response is not complete in time. The timeout of the HTTP client is no such limit: it begins anew with each byte that
 * arrives. Also turns off cookies and decompression, since the response is not read. Safe for many threads.
 */
public final class Deadline implements HttpClientConfigurer {

    private final Supplier<Duration> time;
    private final ScheduledThreadPoolExecutor timer;

    /** @param time from the request to the end of the response; asked for each request */
    public Deadline(Supplier<Duration> time) {
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
        // of a response only the status and Retry-After are used
        builder.disableCookieManagement().disableContentCompression();
        // after the connect, which has its own timeout: from then on there is a connection to close
        builder.addExecInterceptorAfter(ChainElement.CONNECT.name(), "rowbell deadline", this::proceed);
    }

    private ClassicHttpResponse proceed(ClassicHttpRequest request, ExecChain.Scope scope, ExecChain chain)
            throws IOException, HttpException {
        Duration most = time.get();
        // has no effect once the response has been read
        Future<?> end = timer.schedule(scope.execRuntime::discardEndpoint, most.toMillis(), TimeUnit.MILLISECONDS);
        try {
            ClassicHttpResponse response = chain.proceed(request, scope);
            if (response.getEntity() == null) {
                end.cancel(false);
            }
            return response;
        } catch (IOException | HttpException | RuntimeException e) {
            if (end.isDone()) {
                SocketTimeoutException late =
                        new SocketTimeoutException("no whole answer within %d ms".formatted(most.toMillis()));
                late.addSuppressed(e);
                throw late;
            }
            end.cancel(false);
            throw e;
        }
    }
}
