package dev.slipway.publish;

import dev.slipway.host.VmSession;
import java.util.List;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

/** Which VM a published port leads to: the only one, or the one that has its address or its name. */
final class Targets {

    private final Supplier<List<VmSession>> sessions;
    private final ToIntFunction<String> addressOfName;

    Targets(Supplier<List<VmSession>> sessions, ToIntFunction<String> addressOfName) {
        this.sessions = sessions;
        this.addressOfName = addressOfName;
    }

    /** The guest's address, network order; 0 for whatever the only VM has. */
    int address(PortRequest request) {
        return request.guestName().isEmpty() ? request.guest() : addressOfName.applyAsInt(request.guestName());
    }

    /**
     * Finds the VM.
     *
     * @param address from {@link #address}
     * @return null if there is none just now
     */
    VmSession find(PortRequest request, int address) {
        if (address == 0 && !request.guestName().isEmpty()) {
            return null;
        }
        List<VmSession> all = sessions.get();
        if (all.size() == 1) {
            return all.getFirst();
        }
        for (VmSession session : all) {
            if (address != 0 && session.hasGuestAt(address)) {
                return session;
            }
        }
        return null;
    }
}
