/**
 * How the other packages fit together: {@link dev.rowbell.Main} is the program, {@link dev.rowbell.RowbellSetup} sets up a CamelContext,
 * {@link dev.rowbell.Rowbell} has the parts that its routes share. No other package uses this one.
 */
package dev.rowbell;
