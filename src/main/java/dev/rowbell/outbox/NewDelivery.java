package dev.rowbell.outbox;

import java.util.List;
import java.util.UUID;

/**
 * A row that is filed.
 *
 * @param id unique for ever: a number of a sequence may be given again after a crash or by a standby, while its delivery is under way
 * @param lease null where the sink looks for it in the table
 */
record NewDelivery(UUID id, String sink, List<String> documents, Lease lease) {

    /** As this process has it once it is committed. */
    Delivery leased() {
        return new Delivery(id, documents, 0, lease);
    }
}
