package dev.slipway.guest;

import java.io.IOException;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * Gives tests the one {@link NamespaceGuest} of this run, with a lease, or skips them where the machine cannot have
 * one. A test after which the backend is dead or the link is down has failed, and the next one gets new machines.
 */
final class NamespaceGuestExtension
        implements ExecutionCondition, BeforeEachCallback, AfterEachCallback, ParameterResolver {

    private static final ExtensionContext.Namespace STORE = ExtensionContext.Namespace.create(NamespaceGuest.class);
    private static final int REPORTED_CHARACTERS = 4_000;

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return GuestTests.condition(Prerequisites.missingForNamespaces(), context);
    }

    @Override
    public void beforeEach(ExtensionContext context) throws IOException {
        NamespaceGuest guest = machines(context).started();
        guest.relay()
                .captureToFile(context.getRequiredTestClass().getSimpleName() + "."
                        + context.getRequiredTestMethod().getName());
        guest.online();
    }

    @Override
    public void afterEach(ExtensionContext context) throws IOException {
        Machines machines = machines(context);
        if (machines.guest == null) {
            return;
        }
        boolean healthy = machines.guest.isLinked();
        boolean failed = context.getExecutionException().isPresent();
        String output = machines.guest.backendOutput();
        boolean leaked = output.contains("LEAK:");
        if (failed || !healthy || leaked) {
            String end = output.substring(Math.max(0, output.length() - REPORTED_CHARACTERS));
            System.out.println(context.getDisplayName() + " failed; the end of the backend's output:\n" + end);
        }
        if (!healthy || leaked) {
            machines.close();
            if (!failed) {
                throw new AssertionError(
                        leaked
                                ? "the backend leaked a buffer"
                                : "after this test the backend was dead or the link down");
            }
        }
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == NamespaceGuest.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return machines(context).guest;
    }

    private static Machines machines(ExtensionContext context) {
        return context.getRoot().getStore(STORE).computeIfAbsent(Machines.class, key -> new Machines(), Machines.class);
    }

    /** The guest of this run, or why none starts: a start that failed is not tried again for every test. */
    private static final class Machines implements AutoCloseable {

        private NamespaceGuest guest;
        private IOException failure;

        NamespaceGuest started() throws IOException {
            if (failure != null) {
                throw new IOException("the guest did not start: " + failure.getMessage(), failure);
            }
            if (guest == null) {
                try {
                    guest = NamespaceGuest.start(Backend.chosen());
                } catch (IOException e) {
                    failure = e;
                    throw e;
                }
            }
            return guest;
        }

        @Override
        public void close() {
            if (guest != null) {
                guest.close();
                guest = null;
            }
        }
    }
}
