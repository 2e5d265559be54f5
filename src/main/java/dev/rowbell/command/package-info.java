/**
 * The command line: {@link dev.rowbell.command.Commands} reads it, and each other command is a method of
 * {@link dev.rowbell.command.RulesCommands}, {@link dev.rowbell.command.DeliveriesCommands} or {@link dev.rowbell.command.SilencesCommands}.
 */
package dev.rowbell.command;
