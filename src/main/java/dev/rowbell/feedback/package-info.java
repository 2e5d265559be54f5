/**
 * Takes alerts out of the feedback table and routes them. {@link dev.rowbell.feedback.Doorbell} says when to poll, {@link
 * dev.rowbell.feedback.FeedbackTransaction} makes taking a batch and filing its deliveries one database transaction, {@link
 * dev.rowbell.feedback.Routing} sends each alert to the route {@code alerts}.
 */
package dev.rowbell.feedback;
