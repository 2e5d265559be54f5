package dev.rowbell.rules;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;

/** The same promises where the feed is judged row by row. */
@Tag("long")
class RuleByRowTest extends RuleTest {

    @Override
    String function() {
        return "on_row_1";
    }

    @Override
    @BeforeEach
    void feed() {
        super.feed();
        database.execute("select rowbell.for_each('public.feed', 'row')");
    }
}
