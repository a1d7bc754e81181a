package dev.slipway.host;

import dev.slipway.posix.Errno;
import dev.slipway.posix.ReceivedMessage;
import dev.slipway.posix.Sockets;
import dev.slipway.seam.IcmpError;
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/**
 * Reads what the kernel keeps for a socket of errors about what it sent (IP_RECVERR, ip(7)): which packet, and who said
 * what about it, in the guest's terms. One for all sockets of a VM; each {@link #next} overwrites what the one before
 * told.
 */
final class ErrorQueue {

    private static final int QUOTED = 1_500;
    private static final int ICMPV6_UNREACHABLE = 1;
    private static final int ICMPV6_PARAMETER_PROBLEM = 4;
    private static final int ICMPV6_TOO_BIG = 2;

    private final Sockets sockets;
    private final Destinations destinations;
    private final HostCounters counters;
    private final ReceivedMessage message = new ReceivedMessage(QUOTED);
    private IpAddress destination;
    private IcmpError error;

    ErrorQueue(Sockets sockets, Destinations destinations, HostCounters counters) {
        this.sockets = sockets;
        this.destinations = destinations;
        this.counters = counters;
    }

    /** Takes the oldest entry; false if there is none, and then nothing else here may be asked. */
    boolean next(int fd) {
        if (sockets.receiveError(fd, message) < 0) {
            return false;
        }
        IpAddress dialled = message.address();
        destination = dialled == null ? null : destinations.seenByGuest(dialled);
        error = message.isError() ? translate() : null;
        if (error != null) {
            counters.errorsFromHost++;
        }
        return true;
    }

    /**
     * Takes all entries there are, within a call of the stack's, in which the stack may not be told.
     *
     * @param local hears the path MTU of each local entry, about what is being sent; 0 if it is about something else
     * @param earlier hears what is to be told to the guest of packets sent before, when the stack may be told
     * @return whether there was an entry about something sent before
     */
    boolean takeAll(int fd, IntConsumer local, Consumer<KeptError> earlier) {
        boolean found = false;
        while (next(fd)) {
            if (isLocal()) {
                local.accept(pathMtu());
                continue;
            }
            found = true;
            if (error != null && destination != null) {
                earlier.accept(KeptError.of(this));
            }
        }
        return found;
    }

    /** Whether the host itself refused the packet, so that the call that sent it failed for this reason. */
    boolean isLocal() {
        return message.isError() && message.errorOrigin() == ReceivedMessage.ORIGIN_LOCAL;
    }

    /** The path MTU, of a local entry about a packet that exceeds it; else 0. */
    int pathMtu() {
        return message.isError() && message.errorNumber() == Errno.EMSGSIZE ? message.errorInfo() : 0;
    }

    /** Where the packet went, as the guest names it; {@code null} if the guest must not hear of it. */
    IpAddress destination() {
        return destination;
    }

    /** Where the packet went; 0 if the kernel does not say. */
    int port() {
        return message.port();
    }

    /** What is to be told to the guest, or {@code null}: it is nothing that a guest should act on. */
    IcmpError error() {
        return error;
    }

    /** What is quoted of the packet at fault, from the start on; overwritten by the next call. */
    MemorySegment quoted() {
        return message.payload();
    }

    /** Bytes of {@link #quoted}. */
    int quotedLength() {
        return message.length();
    }

    private IcmpError translate() {
        int type = message.errorType();
        int code = message.errorCode();
        return switch (message.errorOrigin()) {
            case ReceivedMessage.ORIGIN_ICMP ->
                type == Icmpv4Packet.UNREACHABLE
                                || type == Icmpv4Packet.TIME_EXCEEDED
                                || type == Icmpv4Packet.PARAMETER_PROBLEM
                        ? new IcmpError(reporter(), type, code, mtu(type == Icmpv4Packet.UNREACHABLE && code == 4))
                        : null;
            case ReceivedMessage.ORIGIN_ICMPV6 ->
                type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM
                        ? new IcmpError(reporter(), type, code, mtu(type == ICMPV6_TOO_BIG))
                        : null;
            default -> null;
        };
    }

    private int mtu(boolean speaksOfIt) {
        return speaksOfIt ? message.errorInfo() : 0;
    }

    private IpAddress reporter() {
        IpAddress said = message.errorReporter();
        IpAddress seen = said == null ? null : destinations.seenByGuest(said);
        return seen != null
                ? seen
                : destinations.gatewayFor(destination == null ? Destinations.LOCALHOST : destination);
    }
}
