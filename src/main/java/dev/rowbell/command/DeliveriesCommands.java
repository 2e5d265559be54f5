package dev.rowbell.command;

import picocli.CommandLine.Command;

/** The commands about deliveries that were given up. */
@Command(
        name = "deliveries",
        mixinStandardHelpOptions = true,
        description = "What was given up, and why; send it again or throw it away.",
        subcommands = {ListDeliveries.class, ShowDelivery.class, RetryDeliveries.class, DiscardDeliveries.class})
final class DeliveriesCommands {}
