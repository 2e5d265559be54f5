/**
 * The command line: {@link dev.rowbell.command.Commands} reads it, and each other command is a method of
 * {@link dev.rowbell.command.RulesCommands} or {@link dev.rowbell.command.DeliveriesCommands}.
 */
package dev.rowbell.command;
