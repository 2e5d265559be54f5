package dev.rowbell;

/** What Rowbell logs where it is a program of its own. By itself, so that a program does without Logback where the class path has another logger. */
public enum Logging {

    /** An application that embeds the jar says what is logged. */
    NOTHING,
    /** What happens is logged to standard output; {@code -Drowbell.log=DEBUG} shows more. */
    PROGRAM,
    /** A command says itself what there is to say; {@code -Drowbell.log=DEBUG} shows the rest, on standard error. */
    COMMAND;

    private static volatile Logging wanted = NOTHING;

    /** To be called before anything logs. */
    public void begin() {
        wanted = this;
    }

    static Logging wanted() {
        return wanted;
    }
}
