package dev.slipway.guest;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Whether the tests with a real guest, and what they need beside it, run on this machine. */
final class GuestTests {

    private static final Set<String> PRINTED = ConcurrentHashMap.newKeySet();

    private GuestTests() {}

    /** Skips with a reason that is printed once, or fails if the environment says that no guest test may be skipped. */
    static ConditionEvaluationResult condition(Optional<String> missing, ExtensionContext context) {
        if (missing.isEmpty()) {
            return ConditionEvaluationResult.enabled("the machine has what a guest needs");
        }
        if (areRequired()) {
            throw new IllegalStateException("SLIPWAY_GUEST_TESTS=required, but " + missing.get());
        }
        if (PRINTED.add(context.getRequiredTestClass().getSimpleName())) {
            System.out.println("SKIPPED " + context.getRequiredTestClass().getSimpleName() + ": " + missing.get());
        }
        return ConditionEvaluationResult.disabled(missing.get());
    }

    /**
     * Skips a test if a program is not there, or fails it if the environment says that no guest test may be skipped.
     *
     * @param program a name, or a path for one that is not on the path
     */
    static void needs(String program) {
        boolean there = Prerequisites.find(program).isPresent() || Files.isExecutable(Path.of(program));
        if (!there && areRequired()) {
            throw new IllegalStateException("SLIPWAY_GUEST_TESTS=required, but there is no program " + program);
        }
        Assumptions.assumeTrue(there, "no program " + program);
    }

    private static boolean areRequired() {
        return "required".equals(System.getenv("SLIPWAY_GUEST_TESTS"));
    }
}
