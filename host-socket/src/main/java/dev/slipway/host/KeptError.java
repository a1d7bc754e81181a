package dev.slipway.host;

import dev.slipway.seam.IcmpError;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * An error that was found within a call of the stack's, kept until the stack may be told.
 *
 * @param quoted a copy of what was quoted of the packet at fault
 */
record KeptError(IpAddress destination, int port, IcmpError error, MemorySegment quoted) {

    static KeptError of(ErrorQueue errors) {
        byte[] bytes = errors.quoted().asSlice(0, errors.quotedLength()).toArray(ValueLayout.JAVA_BYTE);
        return new KeptError(errors.destination(), errors.port(), errors.error(), MemorySegment.ofArray(bytes));
    }
}
