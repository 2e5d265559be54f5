package dev.rowbell.alert;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** The columns whose value differs between OLD and NEW; a missing side counts as a row of NULLs. */
final class ChangedColumns {

    private ChangedColumns() {}

    static List<String> between(Map<?, ?> old, Map<?, ?> now) {
        List<String> names = new ArrayList<>();
        now.forEach((column, value) -> {
            if (!isSame(old.get(column), value)) {
                names.add((String) column);
            }
        });
        old.forEach((column, value) -> {
            if (value != null && !now.containsKey(column)) {
                names.add((String) column);
            }
        });
        return names;
    }

    /** Numbers are compared by value: 1 is the same as 1.0. */
    static boolean isSame(Object old, Object now) {
        return Objects.equals(old, now)
                || old instanceof Number
                        && now instanceof Number
                        && WrittenNumber.isSame(old.toString(), now.toString());
    }
}
