package dev.rowbell.spring;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.SettingsException;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** Says in one sentence which key of Rowbell keeps the application from starting. */
final class SettingsFailureAnalyzer extends AbstractFailureAnalyzer<SettingsException> {

    @Override
    protected FailureAnalysis analyze(Throwable failure, SettingsException wrong) {
        return new FailureAnalysis(
                "Rowbell cannot start: " + Errors.forUser(wrong),
                "Change the setting, in the application's properties or in the environment.",
                wrong);
    }
}
