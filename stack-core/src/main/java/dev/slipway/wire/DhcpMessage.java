package dev.slipway.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A DHCP message for Ethernet (RFC 2131, section 2; options: RFC 2132).
 *
 * <pre>
 *  0   1   2   3   4       8     10      12      16      20      24      28
 *  +---+---+---+---+-------+-----+-------+-------+-------+-------+-------+----------
 *  |op |hty|hln|hop|  xid  |secs | flags |ciaddr |yiaddr |siaddr |giaddr | chaddr …
 *  +---+---+---+---+-------+-----+-------+-------+-------+-------+-------+----------
 *  28              44                  108                  236     240
 *  +---------------+-------------------+--------------------+-------+---------------
 *  |  chaddr (16)  |    sname (64)     |     file (128)     | magic | options …
 *  +---------------+-------------------+--------------------+-------+---------------
 * </pre>
 *
 * An option is code, length, data; 0 is padding and 255 the end. Options may go on in file and sname (option 52). Of
 * an option that comes twice the first is seen.
 */
public final class DhcpMessage {

    public static final int SERVER_PORT = 67;
    public static final int CLIENT_PORT = 68;

    /** Bytes before the options. */
    public static final int HEADER_LENGTH = 240;
    /** What every client takes: 576 bytes of IP packet (RFC 2131, section 2) less the headers of IP and UDP. */
    public static final int MAX_UNNEGOTIATED_LENGTH = 548;
    /** Relays drop shorter messages (RFC 1542, section 2.1). */
    public static final int MIN_LENGTH = 300;

    public static final int BOOT_REQUEST = 1;
    public static final int BOOT_REPLY = 2;

    public static final int DISCOVER = 1;
    public static final int OFFER = 2;
    public static final int REQUEST = 3;
    public static final int DECLINE = 4;
    public static final int ACK = 5;
    public static final int NAK = 6;
    public static final int RELEASE = 7;
    public static final int INFORM = 8;

    public static final int OPTION_SUBNET_MASK = 1;
    public static final int OPTION_ROUTER = 3;
    public static final int OPTION_NAME_SERVER = 6;
    public static final int OPTION_HOST_NAME = 12;
    public static final int OPTION_DOMAIN_NAME = 15;
    public static final int OPTION_MTU = 26;
    public static final int OPTION_BROADCAST = 28;
    public static final int OPTION_TIME_SERVER = 42;
    public static final int OPTION_REQUESTED_ADDRESS = 50;
    public static final int OPTION_LEASE_TIME = 51;
    public static final int OPTION_OVERLOAD = 52;
    public static final int OPTION_MESSAGE_TYPE = 53;
    public static final int OPTION_SERVER = 54;
    public static final int OPTION_PARAMETERS = 55;
    public static final int OPTION_TEXT = 56;
    public static final int OPTION_MAX_LENGTH = 57;
    public static final int OPTION_RENEWAL_TIME = 58;
    public static final int OPTION_REBINDING_TIME = 59;
    public static final int OPTION_CLIENT = 61;
    public static final int OPTION_RAPID_COMMIT = 80;
    public static final int OPTION_CLIENT_FQDN = 81;
    public static final int OPTION_RELAY = 82;
    public static final int OPTION_SEARCH_LIST = 119;
    public static final int OPTION_ROUTES = 121;

    /** The flag of a client that cannot receive unicast before it has an address. */
    public static final int FLAG_BROADCAST = 0x8000;

    private static final int OPTION_PAD = 0;
    private static final int OPTION_END = 255;
    private static final int MAGIC_COOKIE = 0x6382_5363;
    private static final int ETHERNET = 0x0106;
    /** The options field of a message of usual length; nobody pads by more. */
    private static final int MAX_PADDING = 312;

    private static final int OPERATION = 0;
    private static final int HARDWARE = 1;
    private static final int TRANSACTION = 4;
    private static final int FLAGS = 10;
    private static final int CLIENT_ADDRESS = 12;
    private static final int YOUR_ADDRESS = 16;
    private static final int RELAY_ADDRESS = 24;
    private static final int HARDWARE_ADDRESS = 28;
    private static final int SERVER_NAME = 44;
    private static final int FILE = 108;
    private static final int MAGIC = 236;

    private MemorySegment bytes = MemorySegment.NULL;
    private long offset;
    private final int[] optionAt = new int[256];

    /**
     * Reads a message.
     *
     * @return {@link DropReason#DHCP} if it is cut short, is not for Ethernet, has no magic cookie, an option that
     *     reaches past the end or has a length it cannot have, or not exactly one message type; or {@link
     *     DropReason#NONE}
     */
    public DropReason parse(MemorySegment bytes, long offset, int length) {
        if (length < HEADER_LENGTH
                || BigEndian.i32(bytes, offset + MAGIC) != MAGIC_COOKIE
                || BigEndian.u16(bytes, offset + HARDWARE) != ETHERNET) {
            return DropReason.DHCP;
        }
        int operation = BigEndian.u8(bytes, offset + OPERATION);
        if (operation != BOOT_REQUEST && operation != BOOT_REPLY) {
            return DropReason.DHCP;
        }
        this.bytes = bytes;
        this.offset = offset;
        Arrays.fill(optionAt, 0);
        if (!readOptions(HEADER_LENGTH, length)) {
            return DropReason.DHCP;
        }
        int overload = has(OPTION_OVERLOAD) ? u8(OPTION_OVERLOAD) : 0;
        if ((overload & 1) != 0 && !readOptions(FILE, MAGIC)
                || (overload & 2) != 0 && !readOptions(SERVER_NAME, FILE)) {
            return DropReason.DHCP;
        }
        if (!has(OPTION_MESSAGE_TYPE) || type() < DISCOVER || type() > INFORM) {
            return DropReason.DHCP;
        }
        return DropReason.NONE;
    }

    private boolean readOptions(int from, int end) {
        int at = from;
        int padding = 0;
        while (at < end) {
            int code = BigEndian.u8(bytes, offset + at);
            if (code == OPTION_END) {
                break;
            }
            if (code == OPTION_PAD) {
                at++;
                padding++;
                continue;
            }
            if (at + 1 >= end) {
                return false;
            }
            int length = BigEndian.u8(bytes, offset + at + 1);
            if (at + 2 + length > end || !lengthIsRight(code, length)) {
                return false;
            }
            if (optionAt[code] == 0) {
                optionAt[code] = at;
            } else if (code == OPTION_MESSAGE_TYPE) {
                return false;
            }
            at += 2 + length;
        }
        return padding <= MAX_PADDING;
    }

    private static boolean lengthIsRight(int code, int length) {
        return switch (code) {
            case OPTION_MESSAGE_TYPE, OPTION_OVERLOAD -> length == 1;
            case OPTION_MTU, OPTION_MAX_LENGTH -> length == 2;
            case OPTION_SUBNET_MASK,
                    OPTION_BROADCAST,
                    OPTION_REQUESTED_ADDRESS,
                    OPTION_SERVER,
                    OPTION_LEASE_TIME,
                    OPTION_RENEWAL_TIME,
                    OPTION_REBINDING_TIME -> length == 4;
            case OPTION_ROUTER, OPTION_NAME_SERVER -> length >= 4 && length % 4 == 0;
            case OPTION_CLIENT -> length >= 2;
            case OPTION_RAPID_COMMIT -> length == 0;
            default -> true;
        };
    }

    /** {@link #BOOT_REQUEST} from clients, {@link #BOOT_REPLY} from servers. */
    public int operation() {
        return BigEndian.u8(bytes, offset + OPERATION);
    }

    /** The message type: {@link #DISCOVER} to {@link #INFORM}. */
    public int type() {
        return u8(OPTION_MESSAGE_TYPE);
    }

    public int transaction() {
        return BigEndian.i32(bytes, offset + TRANSACTION);
    }

    public int flags() {
        return BigEndian.u16(bytes, offset + FLAGS);
    }

    /** ciaddr: the address that the client has and answers for, or 0. */
    public int clientAddress() {
        return BigEndian.i32(bytes, offset + CLIENT_ADDRESS);
    }

    /** yiaddr: the address that the server gives. */
    public int yourAddress() {
        return BigEndian.i32(bytes, offset + YOUR_ADDRESS);
    }

    /** giaddr: the relay that passed the message on, or 0. */
    public int relayAddress() {
        return BigEndian.i32(bytes, offset + RELAY_ADDRESS);
    }

    /** chaddr: the client's MAC address. */
    public long hardwareAddress() {
        return BigEndian.u48(bytes, offset + HARDWARE_ADDRESS);
    }

    /** Whether there is an option of that code. */
    public boolean has(int code) {
        return optionAt[code] != 0;
    }

    /** Where an option's data begins in {@link #bytes}. Meaningful only if {@link #has}. */
    public long optionOffset(int code) {
        return offset + optionAt[code] + 2;
    }

    /** How many bytes of data an option has; 0 without that option. */
    public int optionLength(int code) {
        return has(code) ? BigEndian.u8(bytes, offset + optionAt[code] + 1) : 0;
    }

    /** The first byte of an option, or 0 if there is none. */
    public int u8(int code) {
        return optionLength(code) >= 1 ? BigEndian.u8(bytes, optionOffset(code)) : 0;
    }

    /** The first two bytes of an option, or 0 if there are none. */
    public int u16(int code) {
        return optionLength(code) >= 2 ? BigEndian.u16(bytes, optionOffset(code)) : 0;
    }

    /** The first four bytes of an option, such as an address; or 0 if there are none. */
    public int i32(int code) {
        return optionLength(code) >= 4 ? BigEndian.i32(bytes, optionOffset(code)) : 0;
    }

    public MemorySegment bytes() {
        return bytes;
    }

    /**
     * Writes everything before the options; what has no parameter is 0.
     *
     * @return where the first option goes
     */
    public static long write(
            MemorySegment bytes,
            long offset,
            int operation,
            int transaction,
            int flags,
            int clientAddress,
            int yourAddress,
            int relayAddress,
            long hardwareAddress) {
        bytes.asSlice(offset, HEADER_LENGTH).fill((byte) 0);
        BigEndian.putU8(bytes, offset + OPERATION, operation);
        BigEndian.putU16(bytes, offset + HARDWARE, ETHERNET);
        BigEndian.putI32(bytes, offset + TRANSACTION, transaction);
        BigEndian.putU16(bytes, offset + FLAGS, flags);
        BigEndian.putI32(bytes, offset + CLIENT_ADDRESS, clientAddress);
        BigEndian.putI32(bytes, offset + YOUR_ADDRESS, yourAddress);
        BigEndian.putI32(bytes, offset + RELAY_ADDRESS, relayAddress);
        BigEndian.putU48(bytes, offset + HARDWARE_ADDRESS, hardwareAddress);
        BigEndian.putI32(bytes, offset + MAGIC, MAGIC_COOKIE);
        return offset + HEADER_LENGTH;
    }

    /** Writes an option of one byte, and returns where the next one goes. */
    public static long putU8(MemorySegment bytes, long at, int code, int value) {
        BigEndian.putU16(bytes, at, code << 8 | 1);
        BigEndian.putU8(bytes, at + 2, value);
        return at + 3;
    }

    /** Writes an option of two bytes, and returns where the next one goes. */
    public static long putU16(MemorySegment bytes, long at, int code, int value) {
        BigEndian.putU16(bytes, at, code << 8 | 2);
        BigEndian.putU16(bytes, at + 2, value);
        return at + 4;
    }

    /** Writes an option of four bytes, such as an address; and returns where the next one goes. */
    public static long putI32(MemorySegment bytes, long at, int code, int value) {
        BigEndian.putU16(bytes, at, code << 8 | 4);
        BigEndian.putI32(bytes, at + 2, value);
        return at + 6;
    }

    /** Writes an option of up to 255 bytes copied from elsewhere, and returns where the next one goes. */
    public static long put(
            MemorySegment bytes, long at, int code, MemorySegment source, long sourceOffset, int length) {
        BigEndian.putU16(bytes, at, code << 8 | length);
        MemorySegment.copy(source, sourceOffset, bytes, at + 2, length);
        return at + 2 + length;
    }

    /** Writes an option from an array, split into several of the same code where it is longer than 255 (RFC 3396). */
    public static long put(MemorySegment bytes, long at, int code, byte[] data) {
        long next = at;
        for (int from = 0; from < data.length; from += 255) {
            int length = Math.min(255, data.length - from);
            BigEndian.putU16(bytes, next, code << 8 | length);
            MemorySegment.copy(data, from, bytes, ValueLayout.JAVA_BYTE, next + 2, length);
            next += 2 + length;
        }
        return next;
    }

    /**
     * Ends the options and pads the message to {@link #MIN_LENGTH}.
     *
     * @param offset where the message begins
     * @return the length of the message
     */
    public static int end(MemorySegment bytes, long offset, long at) {
        BigEndian.putU8(bytes, at, OPTION_END);
        long end = Math.max(at + 1, offset + MIN_LENGTH);
        bytes.asSlice(at + 1, end - at - 1).fill((byte) 0);
        return (int) (end - offset);
    }
}
