package dev.slipway.guest;

import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Whether the tests with a real guest run on this machine. */
final class GuestTests {

    private static final Set<String> PRINTED = ConcurrentHashMap.newKeySet();

    private GuestTests() {}

    /** Skips with a reason that is printed once, or fails if the environment says that no guest test may be skipped. */
    static ConditionEvaluationResult condition(Optional<String> missing, ExtensionContext context) {
        if (missing.isEmpty()) {
            return ConditionEvaluationResult.enabled("the machine has what a guest needs");
        }
        if ("required".equals(System.getenv("SLIPWAY_GUEST_TESTS"))) {
            throw new IllegalStateException("SLIPWAY_GUEST_TESTS=required, but " + missing.get());
        }
        if (PRINTED.add(context.getRequiredTestClass().getSimpleName())) {
            System.out.println("SKIPPED " + context.getRequiredTestClass().getSimpleName() + ": " + missing.get());
        }
        return ConditionEvaluationResult.disabled(missing.get());
    }
}
