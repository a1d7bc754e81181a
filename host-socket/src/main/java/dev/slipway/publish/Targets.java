package dev.slipway.publish;

import dev.slipway.host.PortClients;
import dev.slipway.host.VmSession;
import dev.slipway.wire.IpAddress;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

/** Which VM a published port leads to: the only one, or the one that has its address or its name. */
final class Targets {

    private final Supplier<List<VmSession>> sessions;
    private final ToIntFunction<String> addressOfName;

    /**
     * A VM and the address to reach it by.
     *
     * @param guest {@link PortClients#OWN} for whatever it has
     */
    record Target(VmSession session, IpAddress guest) {}

    Targets(Supplier<List<VmSession>> sessions, ToIntFunction<String> addressOfName) {
        this.sessions = sessions;
        this.addressOfName = addressOfName;
    }

    /** The only VM, if there is but one. */
    Optional<VmSession> only() {
        List<VmSession> all = sessions.get();
        return all.size() == 1 ? Optional.of(all.getFirst()) : Optional.empty();
    }

    /**
     * Finds the VM.
     *
     * @return null if there is none just now
     */
    Target find(PortRequest request) {
        IpAddress guest = request.guest().orElse(PortClients.OWN);
        if (!request.guestName().isEmpty()) {
            int named = addressOfName.applyAsInt(request.guestName());
            if (named == 0) {
                return null;
            }
            guest = IpAddress.ofV4(named);
        }
        List<VmSession> all = sessions.get();
        if (all.size() == 1) {
            return new Target(all.getFirst(), guest);
        }
        for (VmSession session : all) {
            if (session.hasGuestAt(guest)) {
                return new Target(session, guest);
            }
        }
        return null;
    }
}
