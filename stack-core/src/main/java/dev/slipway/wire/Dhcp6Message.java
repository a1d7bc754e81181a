package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * A DHCPv6 message of a client's (RFC 8415, section 8), with its options read in place.
 *
 * <pre>
 *  0   1           4       6       8
 *  +---+-----------+-------+-------+----------+-------+-----
 *  |typ|transaction| option| length| data …   | option| …
 *  +---+-----------+-------+-------+----------+-------+-----
 * </pre>
 */
public final class Dhcp6Message {

    public static final int CLIENT_PORT = 546;
    public static final int SERVER_PORT = 547;
    public static final int HEADER_LENGTH = 4;

    public static final int SOLICIT = 1;
    public static final int ADVERTISE = 2;
    public static final int REQUEST = 3;
    public static final int CONFIRM = 4;
    public static final int RENEW = 5;
    public static final int REBIND = 6;
    public static final int REPLY = 7;
    public static final int RELEASE = 8;
    public static final int DECLINE = 9;
    public static final int INFORMATION_REQUEST = 11;

    public static final int OPTION_CLIENT_ID = 1;
    public static final int OPTION_SERVER_ID = 2;
    public static final int OPTION_IA_NA = 3;
    public static final int OPTION_IA_TA = 4;
    public static final int OPTION_IA_ADDRESS = 5;
    public static final int OPTION_PREFERENCE = 7;
    public static final int OPTION_STATUS = 13;
    public static final int OPTION_RAPID_COMMIT = 14;
    public static final int OPTION_NAME_SERVERS = 23;
    public static final int OPTION_SEARCH_LIST = 24;
    public static final int OPTION_IA_PD = 25;
    public static final int OPTION_REFRESH_TIME = 32;

    public static final int STATUS_SUCCESS = 0;
    public static final int STATUS_NO_ADDRESS = 2;
    public static final int STATUS_NOT_ON_LINK = 4;
    public static final int STATUS_NO_PREFIX = 6;

    /** Bytes of the data of an IA_NA or IA_PD before its own options. */
    public static final int IA_LENGTH = 12;
    /** Bytes of the data of an IA_TA before its own options. */
    public static final int IA_TA_LENGTH = 4;
    /** Bytes of the data of an address before its own options. */
    public static final int ADDRESS_LENGTH = 24;

    /** The longest identifier of a client or server (RFC 8415, section 11.1), in bytes. */
    public static final int MAX_DUID = 130;

    private static final int OPTION_HEADER = 4;

    private MemorySegment bytes = MemorySegment.NULL;
    private long start;
    private long end;
    private int type;
    private long clientId;
    private int clientIdLength;
    private long serverId;
    private int serverIdLength;
    private boolean rapidCommit;

    private long at;
    private long next;
    private long limit;

    /**
     * Reads a message; all of its options are where their lengths say.
     *
     * @return {@link DropReason#DHCP} for what is none, or {@link DropReason#NONE}
     */
    public DropReason parse(MemorySegment bytes, long offset, int length) {
        if (length < HEADER_LENGTH) {
            return DropReason.DHCP;
        }
        this.bytes = bytes;
        start = offset;
        end = offset + length;
        type = BigEndian.u8(bytes, offset);
        clientIdLength = 0;
        serverIdLength = 0;
        rapidCommit = false;
        if (!areOptions(offset + HEADER_LENGTH, end)) {
            return DropReason.DHCP;
        }
        options();
        while (nextOption()) {
            switch (option()) {
                case OPTION_CLIENT_ID -> {
                    clientId = data();
                    clientIdLength = dataLength();
                }
                case OPTION_SERVER_ID -> {
                    serverId = data();
                    serverIdLength = dataLength();
                }
                case OPTION_RAPID_COMMIT -> rapidCommit = true;
                default -> {}
            }
        }
        return clientIdLength > MAX_DUID || serverIdLength > MAX_DUID ? DropReason.DHCP : DropReason.NONE;
    }

    private boolean areOptions(long from, long to) {
        long option = from;
        while (option < to) {
            if (option + OPTION_HEADER > to) {
                return false;
            }
            int length = BigEndian.u16(bytes, option + 2);
            long data = option + OPTION_HEADER;
            if (data + length > to) {
                return false;
            }
            int own = switch (BigEndian.u16(bytes, option)) {
                case OPTION_IA_NA, OPTION_IA_PD -> IA_LENGTH;
                case OPTION_IA_TA -> IA_TA_LENGTH;
                default -> -1;
            };
            boolean fits = own < 0 || length >= own && areAddresses(data + own, data + length);
            if (!fits) {
                return false;
            }
            option = data + length;
        }
        return true;
    }

    /** Whether the options within an IA are where their lengths say, and addresses long enough. */
    private boolean areAddresses(long from, long to) {
        long option = from;
        while (option < to) {
            if (option + OPTION_HEADER > to) {
                return false;
            }
            int length = BigEndian.u16(bytes, option + 2);
            boolean tooShort = BigEndian.u16(bytes, option) == OPTION_IA_ADDRESS && length < ADDRESS_LENGTH;
            option += OPTION_HEADER + length;
            if (tooShort || option > to) {
                return false;
            }
        }
        return true;
    }

    public int type() {
        return type;
    }

    /** The transaction's number, 24 bits. */
    public int transaction() {
        return BigEndian.i32(bytes, start) & 0xFF_FFFF;
    }

    public MemorySegment bytes() {
        return bytes;
    }

    public boolean hasClientId() {
        return clientIdLength > 0;
    }

    /** Where the client's identifier begins in {@link #bytes}. */
    public long clientId() {
        return clientId;
    }

    public int clientIdLength() {
        return clientIdLength;
    }

    public boolean hasServerId() {
        return serverIdLength > 0;
    }

    /** Whether the client speaks to the server of an identifier. */
    public boolean isFor(byte[] server) {
        return serverIdLength == server.length
                && MemorySegment.mismatch(
                                bytes,
                                serverId,
                                serverId + serverIdLength,
                                MemorySegment.ofArray(server),
                                0,
                                server.length)
                        < 0;
    }

    public boolean wantsRapidCommit() {
        return rapidCommit;
    }

    /** Goes before the first option of the message. */
    public void options() {
        next = start + HEADER_LENGTH;
        limit = end;
    }

    /** Goes before the first option within the data of the one at hand, behind so many bytes of its own. */
    public void optionsWithin(int own) {
        long within = data();
        limit = within + dataLength();
        next = within + own;
    }

    /** Goes to where {@link #mark} was called. */
    public void back(long mark) {
        next = mark;
        limit = end;
    }

    /** Where the option behind the one at hand begins; of the message's own options only. */
    public long mark() {
        return next;
    }

    /** Goes to the next option; false if there is none. */
    public boolean nextOption() {
        if (next >= limit) {
            return false;
        }
        at = next;
        next = data() + dataLength();
        return true;
    }

    /** The number of the option at hand. */
    public int option() {
        return BigEndian.u16(bytes, at);
    }

    /** Where its data begin in {@link #bytes}. */
    public long data() {
        return at + OPTION_HEADER;
    }

    public int dataLength() {
        return BigEndian.u16(bytes, at + 2);
    }
}
