package dev.rowbell.test;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test class of rules. It gets a database of its own on an embedded PostgreSQL, in which first the scripts run and then the rules are applied. Its
 * tests take a {@link WatchedDatabase} as parameter. It starts no application, so it needs no Spring and works with it. For a database of
 * Testcontainers use {@link RowbellExtension}.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Documented
@Inherited
@ExtendWith(RowbellExtension.class)
public @interface RowbellTest {

    /** SQL that makes the watched tables, each a resource of the class path, such as {@code schema.sql}. */
    String[] scripts() default {};

    /** The file of rules, as in {@code rowbell.rules.file}. */
    String rules() default "classpath:rules.yaml";
}
