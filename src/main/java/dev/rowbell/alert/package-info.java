/**
 * The alert document. {@link dev.rowbell.alert.AlertReader} makes an alert of a feedback row or a notification: of a trigger's document by
 * {@code TriggerDocument}, in one pass, of any other as a whole. Routes get it as a Map, {@code LazyAlert} where it need not be parsed yet;
 * {@link dev.rowbell.alert.AlertJson} writes it. {@link dev.rowbell.alert.AlertText} and {@link dev.rowbell.alert.Digest} show it to people.
 */
package dev.rowbell.alert;
