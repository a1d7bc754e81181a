package dev.slipway.guest;

import java.io.IOException;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestWatcher;

/**
 * Gives tests the one {@link NamespaceGuest} of this run, with a lease, or skips them where the machine cannot have
 * one. With {@code SLIPWAY_GUEST_TESTS=required} in the environment, as in CI, skipping is a failure.
 */
final class NamespaceGuestExtension implements ExecutionCondition, BeforeEachCallback, ParameterResolver, TestWatcher {

    private static final ExtensionContext.Namespace STORE = ExtensionContext.Namespace.create(NamespaceGuest.class);
    private static final int REPORTED_CHARACTERS = 4_000;

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return GuestTests.condition(Prerequisites.missingForNamespaces(), context);
    }

    @Override
    public void beforeEach(ExtensionContext context) throws IOException {
        machines(context).orFail().online();
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == NamespaceGuest.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return machines(context).guest();
    }

    @Override
    public void testFailed(ExtensionContext context, Throwable cause) {
        NamespaceGuest guest = machines(context).guest();
        if (guest != null) {
            String output = guest.backendOutput();
            String end = output.substring(Math.max(0, output.length() - REPORTED_CHARACTERS));
            System.out.println(context.getDisplayName() + " failed; the end of the backend's output:\n" + end);
        }
    }

    private static Machines machines(ExtensionContext context) {
        return context.getRoot()
                .getStore(STORE)
                .computeIfAbsent(Machines.class, key -> Machines.start(), Machines.class);
    }

    /** The guest of this run, or why it did not start: that is tried once. */
    private record Machines(NamespaceGuest guest, IOException failure) implements AutoCloseable {

        static Machines start() {
            try {
                return new Machines(NamespaceGuest.start(Backend.chosen()), null);
            } catch (IOException e) {
                return new Machines(null, e);
            }
        }

        NamespaceGuest orFail() throws IOException {
            if (failure != null) {
                throw new IOException("the guest did not start: " + failure.getMessage(), failure);
            }
            return guest;
        }

        @Override
        public void close() {
            if (guest != null) {
                guest.close();
            }
        }
    }
}
