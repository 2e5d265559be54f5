/**
 * The parts of the sinks that YAML cannot say: {@link dev.rowbell.sink.JsonLines} appends to the alert file,
 * {@link dev.rowbell.sink.Webhook} adds headers and signature to a request, {@link dev.rowbell.sink.Deadline} ends a late response, and
 * {@link dev.rowbell.sink.MailLogin} logs in to the mail server.
 */
package dev.rowbell.sink;
