package dev.rowbell.alert;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.io.NumberInput;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;

/**
 * A number that stays as it was written where Java would write it in another way, as {@code 1e2}, {@code -0.0} or {@code 0.0000001}. In all
 * else a BigDecimal, so that routes can compare it and JSON libraries know it.
 */
final class WrittenNumber extends BigDecimal {

    private static final long serialVersionUID = 1;

    private final String text;

    private WrittenNumber(String text, BigDecimal value) {
        super(value.unscaledValue(), value.scale());
        this.text = text;
    }

    /** The number at which the parser is: one that the Java type writes as it was written, else a WrittenNumber. */
    static Number read(JsonParser parser) throws IOException {
        String text = parser.getText();
        if (parser.currentToken() == JsonToken.VALUE_NUMBER_INT && !text.equals("-0")) {
            return parser.getNumberValue();
        }
        BigDecimal value = parsed(text);
        return value == null
                ? new WrittenNumber(text, beyond(text))
                : value.toString().equals(text) ? value : new WrittenNumber(text, value);
    }

    /** Whether both are the same number: 1 is the same as 1.0. Numbers beyond what Java can hold are the same where their texts are. */
    static boolean isSame(String one, String other) {
        if (one.equals(other)) {
            return true;
        }
        BigDecimal value = parsed(one);
        BigDecimal otherValue = value == null ? null : parsed(other);
        return otherValue != null && value.compareTo(otherValue) == 0;
    }

    /** Null where its exponent takes more than 32 bits. */
    private static BigDecimal parsed(String text) {
        try {
            return NumberInput.parseBigDecimal(text, true);
        } catch (NumberFormatException e) {
            return null;
        }
    }

    /** The largest or smallest number that Java can hold, to be compared with. */
    private static BigDecimal beyond(String text) {
        boolean small = text.lastIndexOf('-') > 0;
        return new BigDecimal(
                BigInteger.valueOf(text.startsWith("-") ? -1 : 1), small ? Integer.MAX_VALUE : -Integer.MAX_VALUE);
    }

    @Override
    public String toString() {
        return text;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof WrittenNumber number && number.text.equals(text);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }
}
