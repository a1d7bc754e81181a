package dev.slipway.guest;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/** For tests that make machines of their own with a Slipway of their own: skipped where neither can be. */
final class NeedsNamespaces implements ExecutionCondition {

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        if (Backend.chosen() != Backend.SLIPWAY) {
            return ConditionEvaluationResult.disabled("no test for peers: it asks Slipway for its counters");
        }
        return GuestTests.condition(Prerequisites.missingForNamespaces(), context);
    }
}
