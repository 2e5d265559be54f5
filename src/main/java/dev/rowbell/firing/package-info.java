/** What fires now: {@link dev.rowbell.firing.Firing} notes the durable alerts of each batch, and keeps {@code rowbell.firing} up to date. */
package dev.rowbell.firing;
