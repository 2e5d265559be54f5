/**
 * The rules: {@link dev.rowbell.rules.Rules} applies {@code rules.yaml}, {@code RulesReader} reads it with its line numbers, and
 * {@link dev.rowbell.rules.RuleRepository} is the table {@code rowbell.rule}.
 */
package dev.rowbell.rules;
