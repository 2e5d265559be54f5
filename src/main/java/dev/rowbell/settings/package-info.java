/**
 * The settings of one CamelContext: {@link dev.rowbell.settings.Settings} reads and checks them,
 * {@link dev.rowbell.settings.SettingsException} names the key that the user can change.
 */
package dev.rowbell.settings;
