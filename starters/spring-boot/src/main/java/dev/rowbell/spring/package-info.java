/**
 * Rowbell in a Spring Boot application: {@link dev.rowbell.spring.RowbellAutoConfiguration} joins it to the CamelContext of camel-spring-boot.
 */
package dev.rowbell.spring;
