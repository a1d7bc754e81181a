package dev.slipway.vhost;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * One message of the control socket (QEMU's docs/interop/vhost-user.rst). In the byte order of the host.
 *
 * <pre>
 *  0           4           8           12
 *  +-----------+-----------+-----------+----------------
 *  | request   | flags     | size      | payload …
 *  +-----------+-----------+-----------+----------------
 *  flags: bits 0-1 version (1), bit 2 a reply, bit 3 a reply is wanted
 * </pre>
 */
final class ControlMessage {

    static final int HEADER = 12;

    /** Bytes of the longest payload that is taken: eight regions of memory are 264. */
    static final int MAX_PAYLOAD = 512;

    static final int GET_FEATURES = 1;
    static final int SET_FEATURES = 2;
    static final int SET_OWNER = 3;
    static final int RESET_OWNER = 4;
    static final int SET_MEM_TABLE = 5;
    static final int SET_VRING_NUM = 8;
    static final int SET_VRING_ADDR = 9;
    static final int SET_VRING_BASE = 10;
    static final int GET_VRING_BASE = 11;
    static final int SET_VRING_KICK = 12;
    static final int SET_VRING_CALL = 13;
    static final int SET_VRING_ERR = 14;
    static final int GET_PROTOCOL_FEATURES = 15;
    static final int SET_PROTOCOL_FEATURES = 16;
    static final int GET_QUEUE_NUM = 17;
    static final int SET_VRING_ENABLE = 18;
    static final int SEND_RARP = 19;
    static final int NET_SET_MTU = 20;
    static final int SET_BACKEND_REQ_FD = 21;
    static final int GET_MAX_MEM_SLOTS = 36;
    static final int ADD_MEM_REG = 37;
    static final int REM_MEM_REG = 38;

    /** Bytes of a region of memory within a payload. */
    static final int REGION = 32;

    /** The bit that says, where a descriptor may come along, that none does. */
    static final long NO_DESCRIPTOR = 0x100;

    private static final int VERSION = 1;
    private static final int VERSION_MASK = 3;
    private static final int REPLY = 4;
    private static final int NEED_REPLY = 8;
    private static final int ANY_SIZE = -1;

    private final MemorySegment bytes = Arena.ofAuto().allocate(HEADER + MAX_PAYLOAD, 8);

    /** Where it lies; what is received is written here. */
    MemorySegment bytes() {
        return bytes;
    }

    int request() {
        return bytes.get(ValueLayout.JAVA_INT, 0);
    }

    /** Bytes of the payload. */
    int size() {
        return bytes.get(ValueLayout.JAVA_INT, 8);
    }

    boolean wantsReply() {
        return (bytes.get(ValueLayout.JAVA_INT, 4) & NEED_REPLY) != 0;
    }

    /**
     * Checks a header that is there, before its payload is.
     *
     * @throws ProtocolViolation if it is no header of a request, or its payload has not the length that the request has
     */
    void check() throws ProtocolViolation {
        int flags = bytes.get(ValueLayout.JAVA_INT, 4);
        if ((flags & VERSION_MASK) != VERSION || (flags & REPLY) != 0) {
            throw new ProtocolViolation("a message with flags 0x" + Integer.toHexString(flags));
        }
        int size = size();
        int expected = payload(request());
        if (size < 0 || size > MAX_PAYLOAD || expected != ANY_SIZE && size != expected) {
            throw new ProtocolViolation(
                    "request " + request() + " with a payload of " + Integer.toUnsignedString(size) + " bytes");
        }
    }

    private static int payload(int request) {
        return switch (request) {
            case GET_FEATURES,
                    SET_OWNER,
                    RESET_OWNER,
                    GET_PROTOCOL_FEATURES,
                    GET_QUEUE_NUM,
                    SET_BACKEND_REQ_FD,
                    GET_MAX_MEM_SLOTS -> 0;
            case SET_FEATURES,
                    SET_VRING_NUM,
                    SET_VRING_BASE,
                    GET_VRING_BASE,
                    SET_VRING_KICK,
                    SET_VRING_CALL,
                    SET_VRING_ERR,
                    SET_PROTOCOL_FEATURES,
                    SET_VRING_ENABLE,
                    SEND_RARP,
                    NET_SET_MTU -> 8;
            case SET_VRING_ADDR -> 40;
            case ADD_MEM_REG, REM_MEM_REG -> 8 + REGION;
            // The memory table says itself how long it is; what is not known is read and ignored.
            default -> ANY_SIZE;
        };
    }

    /** 32 bits of the payload, unsigned. */
    long u32(int offset) {
        return Integer.toUnsignedLong(bytes.get(ValueLayout.JAVA_INT, HEADER + offset));
    }

    /** 64 bits of the payload. */
    long u64(int offset) {
        return bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, HEADER + offset);
    }

    /**
     * Becomes the reply to a request.
     *
     * @return bytes of all of it
     */
    int reply(int request, long payload) {
        bytes.set(ValueLayout.JAVA_INT, 0, request);
        bytes.set(ValueLayout.JAVA_INT, 4, VERSION | REPLY);
        bytes.set(ValueLayout.JAVA_INT, 8, 8);
        bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, HEADER, payload);
        return HEADER + 8;
    }

    /** The reply to GET_VRING_BASE: a ring and an entry of it. */
    int reply(int request, int index, int entry) {
        int length = reply(request, 0);
        bytes.set(ValueLayout.JAVA_INT, HEADER, index);
        bytes.set(ValueLayout.JAVA_INT, HEADER + 4, entry);
        return length;
    }
}
