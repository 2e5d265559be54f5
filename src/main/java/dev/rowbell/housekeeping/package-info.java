/**
 * Work that is done now and then in the database: each package registers its tasks with {@link dev.rowbell.housekeeping.Housekeeping}.
 */
package dev.rowbell.housekeeping;
