/**
 * The {@code pgevent:} listener on pgjdbc, in place of Camel's. {@link dev.rowbell.listen.ListenConsumer} connects again for ever and routes
 * notifications; {@link dev.rowbell.listen.Listeners} knows which listeners of this process have a connection.
 */
package dev.rowbell.listen;
