/**
 * The web console: pages on the port of health that show what waits, what failed and why, and change nothing. {@link WebConsole} answers the requests,
 * {@link Pages} says what a page shows, and the templates say how.
 */
package dev.rowbell.web;
