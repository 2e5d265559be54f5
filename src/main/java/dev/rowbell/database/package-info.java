/**
 * The PostgreSQL that Rowbell works on. {@link dev.rowbell.database.Database} is the pool and the embedded server, {@code Schema} brings the schema up
 * to date, {@link dev.rowbell.database.PollCursor} says where the next scan of a queue begins.
 */
package dev.rowbell.database;
