package dev.rowbell.command;

import picocli.CommandLine.Command;

/** The commands about rules. */
@Command(
        name = "rules",
        mixinStandardHelpOptions = true,
        description = "What the rules are, what is wrong with them, what they would find.",
        subcommands = {CheckRules.class, ListRules.class, TestRule.class})
final class RulesCommands {}
