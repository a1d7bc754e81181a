package dev.slipway.dhcp;

import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Dhcp6Message;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashSet;

/**
 * A DHCPv6 server (RFC 8415) for guests that want an address from one (IA_NA), or only to know the name server and the
 * search list (stateless).
 *
 * <p>It remembers no lease: an address is computed from the client's identifier and the number of its interface, so the
 * same client gets the same one for ever, after a restart too, and a flood of invented clients costs no memory. It keeps
 * the addresses that a client declined because somebody has them already, {@value #MAX_DECLINED} at most, and computes
 * others in their place.
 */
public final class Dhcp6Server {

    /** Addresses that are remembered as taken by somebody; the oldest is forgotten for another. */
    public static final int MAX_DECLINED = 64;

    /** Interfaces of one message that are answered; further ones are left out. */
    static final int MAX_INTERFACES = 8;

    /** Addresses of one interface that are told to be none of its own any more. */
    static final int MAX_FOREIGN = 4;

    /** For how long an address is a client's without a word, in seconds: 30 days, as by IPv4. */
    static final int VALID_SECONDS = 2_592_000;

    /** For how long new connections are to be made from it, in seconds. */
    static final int PREFERRED_SECONDS = 1_296_000;

    /** When what was told beside addresses is to be asked for again, in seconds (RFC 8415, section 21.23). */
    private static final int REFRESH_SECONDS = 86_400;

    private static final int REPLY_CAPACITY = 1_200;
    /** What the answer for one interface may take, and the name server behind it. */
    private static final int ROOM_OF_INTERFACE = 4 + Dhcp6Message.IA_LENGTH + 28 * (1 + MAX_FOREIGN) + 20;

    private static final int DUID_LINK_LAYER = 3;
    private static final int ETHERNET = 1;
    private static final int HIGHEST_PREFERENCE = 255;
    /** What all addresses of this server's begin with, behind the prefix: none of them is one of ours. */
    private static final long LEASED = 0x0D00_0000_0000_0000L;

    private static final int ATTEMPTS = MAX_DECLINED + 1;

    /** Whether the last 64 bits of an address are such as this server computes. */
    static boolean isLeased(long low) {
        return low >>> 56 == LEASED >>> 56;
    }

    private final Ipv6Settings network;
    private final byte[] serverId;
    private final byte[] searchList;
    private final Dhcp6Message message = new Dhcp6Message();
    private final LinkedHashSet<Long> declined = new LinkedHashSet<>();
    private final MemorySegment reply = MemorySegment.ofArray(new byte[REPLY_CAPACITY]);
    private int length;
    private final long[] leased = new long[MAX_INTERFACES];
    private int leases;

    /** @param searchList encoded names, empty for none */
    public Dhcp6Server(StackSettings settings, byte[] searchList) {
        this.network = settings.ipv6();
        this.searchList = searchList.clone();
        byte[] id = new byte[10];
        MemorySegment bytes = MemorySegment.ofArray(id);
        BigEndian.putU16(bytes, 0, DUID_LINK_LAYER);
        BigEndian.putU16(bytes, 2, ETHERNET);
        BigEndian.putU48(bytes, 4, settings.gatewayMac());
        serverId = id;
    }

    /**
     * Takes a client's message. Afterwards {@link #reply} and {@link #replyLength} are what it is answered with.
     *
     * @return {@link DropReason#DHCP} for what no server answers (RFC 8415, section 16), {@link DropReason#NONE}
     */
    public DropReason answer(MemorySegment bytes, long offset, int messageLength) {
        length = 0;
        leases = 0;
        if (message.parse(bytes, offset, messageLength) != DropReason.NONE || !isValid()) {
            return DropReason.DHCP;
        }
        boolean offer = message.type() == Dhcp6Message.SOLICIT && !message.wantsRapidCommit();
        begin(offer ? Dhcp6Message.ADVERTISE : Dhcp6Message.REPLY);
        switch (message.type()) {
            case Dhcp6Message.SOLICIT -> {
                if (offer) {
                    put(Dhcp6Message.OPTION_PREFERENCE, new byte[] {(byte) HIGHEST_PREFERENCE});
                } else {
                    put(Dhcp6Message.OPTION_RAPID_COMMIT, new byte[0]);
                }
                putInterfaces();
            }
            case Dhcp6Message.REQUEST, Dhcp6Message.RENEW, Dhcp6Message.REBIND -> putInterfaces();
            case Dhcp6Message.CONFIRM -> {
                if (!confirm()) {
                    length = 0;
                    return DropReason.DHCP;
                }
            }
            case Dhcp6Message.DECLINE -> {
                decline();
                putStatus(Dhcp6Message.STATUS_SUCCESS);
            }
            case Dhcp6Message.RELEASE -> putStatus(Dhcp6Message.STATUS_SUCCESS);
            default -> putInt(Dhcp6Message.OPTION_REFRESH_TIME, REFRESH_SECONDS);
        }
        if (offer) {
            leases = 0;
        }
        putNames();
        return DropReason.NONE;
    }

    /** How many addresses the answer leases, and does not only offer. */
    public int leases() {
        return leases;
    }

    /** The last 64 bits of one of these addresses. */
    public long leased(int index) {
        return leased[index];
    }

    /** Where {@link #replyLength} bytes of an answer are, until the next message. */
    public MemorySegment reply() {
        return reply;
    }

    /** Bytes of the answer; 0 if there is none. */
    public int replyLength() {
        return length;
    }

    /** The guest is another one: nobody has what the one before could not have. */
    public void reset() {
        declined.clear();
    }

    /** Who must name itself, and whom, in which message (RFC 8415, sections 16.2 to 16.12). */
    private boolean isValid() {
        return switch (message.type()) {
            case Dhcp6Message.SOLICIT, Dhcp6Message.CONFIRM, Dhcp6Message.REBIND ->
                message.hasClientId() && !message.hasServerId();
            case Dhcp6Message.REQUEST, Dhcp6Message.RENEW, Dhcp6Message.RELEASE, Dhcp6Message.DECLINE ->
                message.hasClientId() && message.isFor(serverId);
            case Dhcp6Message.INFORMATION_REQUEST ->
                (!message.hasServerId() || message.isFor(serverId)) && !hasInterface();
            default -> false;
        };
    }

    private boolean hasInterface() {
        message.options();
        while (message.nextOption()) {
            switch (message.option()) {
                case Dhcp6Message.OPTION_IA_NA, Dhcp6Message.OPTION_IA_TA, Dhcp6Message.OPTION_IA_PD -> {
                    return true;
                }
                default -> {}
            }
        }
        return false;
    }

    // --- addresses ----------------------------------------------------------------------------------------------

    private void putInterfaces() {
        message.options();
        int interfaces = 0;
        while (message.nextOption() && interfaces < MAX_INTERFACES && length + ROOM_OF_INTERFACE < REPLY_CAPACITY) {
            int option = message.option();
            boolean addresses = option == Dhcp6Message.OPTION_IA_NA;
            boolean temporary = option == Dhcp6Message.OPTION_IA_TA;
            if (!addresses && !temporary && option != Dhcp6Message.OPTION_IA_PD) {
                continue;
            }
            interfaces++;
            long mark = message.mark();
            int id = BigEndian.i32(message.bytes(), message.data());
            int began = length;
            length += 4;
            BigEndian.putI32(reply, length, id);
            length += 4;
            if (!temporary) {
                // The client asks again after half of the time, and asks everybody after four fifths.
                BigEndian.putI32(reply, length, addresses ? PREFERRED_SECONDS / 2 : 0);
                BigEndian.putI32(reply, length + 4, addresses ? PREFERRED_SECONDS / 5 * 4 : 0);
                length += 8;
            }
            if (addresses) {
                long own = addressOf(id);
                leased[leases++] = own;
                putAddresses(own);
            } else {
                putStatus(temporary ? Dhcp6Message.STATUS_NO_ADDRESS : Dhcp6Message.STATUS_NO_PREFIX);
            }
            BigEndian.putU16(reply, began, option);
            BigEndian.putU16(reply, began + 2L, length - began - 4);
            message.back(mark);
        }
    }

    /** The address of the interface at hand, and that others which it names are none of its own. */
    private void putAddresses(long own) {
        putAddress(network.prefix(), own, PREFERRED_SECONDS, VALID_SECONDS);
        message.optionsWithin(Dhcp6Message.IA_LENGTH);
        int foreign = 0;
        while (message.nextOption() && foreign < MAX_FOREIGN) {
            if (message.option() == Dhcp6Message.OPTION_IA_ADDRESS) {
                long high = BigEndian.i64(message.bytes(), message.data());
                long low = BigEndian.i64(message.bytes(), message.data() + 8);
                if (high != network.prefix() || low != own) {
                    putAddress(high, low, 0, 0);
                    foreign++;
                }
            }
        }
    }

    private void putAddress(long high, long low, int preferred, int valid) {
        BigEndian.putU16(reply, length, Dhcp6Message.OPTION_IA_ADDRESS);
        BigEndian.putU16(reply, length + 2L, Dhcp6Message.ADDRESS_LENGTH);
        BigEndian.putI64(reply, length + 4L, high);
        BigEndian.putI64(reply, length + 12L, low);
        BigEndian.putI32(reply, length + 20L, preferred);
        BigEndian.putI32(reply, length + 24L, valid);
        length += 28;
    }

    /** The last 64 bits of an interface's address: the first of those that nobody declined. */
    private long addressOf(int interfaceId) {
        long hash = 0xCBF2_9CE4_8422_2325L;
        for (int i = 0; i < message.clientIdLength(); i++) {
            hash = (hash ^ BigEndian.u8(message.bytes(), message.clientId() + i)) * 0x100_0000_01B3L;
        }
        hash = (hash ^ interfaceId) * 0x100_0000_01B3L;
        long address = 0;
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            long mixed = (hash + attempt) * 0x9E37_79B9_7F4A_7C15L;
            address = LEASED | (mixed ^ mixed >>> 32) >>> 8;
            if (!declined.contains(address)) {
                return address;
            }
        }
        return address;
    }

    private void decline() {
        message.options();
        while (message.nextOption()) {
            if (message.option() != Dhcp6Message.OPTION_IA_NA) {
                continue;
            }
            long mark = message.mark();
            long own = addressOf(BigEndian.i32(message.bytes(), message.data()));
            message.optionsWithin(Dhcp6Message.IA_LENGTH);
            while (message.nextOption()) {
                boolean isOwn = message.option() == Dhcp6Message.OPTION_IA_ADDRESS
                        && BigEndian.i64(message.bytes(), message.data() + 8) == own;
                if (isOwn && declined.add(own) && declined.size() > MAX_DECLINED) {
                    declined.removeFirst();
                }
            }
            message.back(mark);
        }
    }

    /** Says whether all addresses named are of this link (RFC 8415, section 18.3.3); false if none is named. */
    private boolean confirm() {
        boolean any = false;
        boolean onLink = true;
        message.options();
        while (message.nextOption()) {
            if (message.option() != Dhcp6Message.OPTION_IA_NA) {
                continue;
            }
            long mark = message.mark();
            message.optionsWithin(Dhcp6Message.IA_LENGTH);
            while (message.nextOption()) {
                if (message.option() == Dhcp6Message.OPTION_IA_ADDRESS) {
                    any = true;
                    onLink &= BigEndian.i64(message.bytes(), message.data()) == network.prefix();
                }
            }
            message.back(mark);
        }
        putStatus(onLink ? Dhcp6Message.STATUS_SUCCESS : Dhcp6Message.STATUS_NOT_ON_LINK);
        return any;
    }

    // --- the answer ---------------------------------------------------------------------------------------------

    private void begin(int type) {
        BigEndian.putI32(reply, 0, type << 24 | message.transaction());
        length = Dhcp6Message.HEADER_LENGTH;
        put(Dhcp6Message.OPTION_SERVER_ID, serverId);
        if (message.hasClientId()) {
            int idLength = message.clientIdLength();
            BigEndian.putU16(reply, length, Dhcp6Message.OPTION_CLIENT_ID);
            BigEndian.putU16(reply, length + 2L, idLength);
            MemorySegment.copy(message.bytes(), message.clientId(), reply, length + 4L, idLength);
            length += 4 + idLength;
        }
    }

    private void put(int option, byte[] data) {
        BigEndian.putU16(reply, length, option);
        BigEndian.putU16(reply, length + 2L, data.length);
        MemorySegment.copy(MemorySegment.ofArray(data), 0, reply, length + 4L, data.length);
        length += 4 + data.length;
    }

    private void putInt(int option, int value) {
        BigEndian.putU16(reply, length, option);
        BigEndian.putU16(reply, length + 2L, 4);
        BigEndian.putI32(reply, length + 4L, value);
        length += 8;
    }

    private void putStatus(int status) {
        BigEndian.putU16(reply, length, Dhcp6Message.OPTION_STATUS);
        BigEndian.putU16(reply, length + 2L, 2);
        BigEndian.putU16(reply, length + 4L, status);
        length += 6;
    }

    /** Name server and search list (RFC 3646), in every answer: who does not want them leaves them. */
    private void putNames() {
        put(Dhcp6Message.OPTION_NAME_SERVERS, network.gateway().toBytes());
        if (searchList.length > 0 && length + 4 + searchList.length <= REPLY_CAPACITY) {
            put(Dhcp6Message.OPTION_SEARCH_LIST, searchList);
        }
    }

    /** The group that clients speak to: all servers and relays of the link (RFC 8415, section 7.1). */
    public static final IpAddress GROUP = new IpAddress(0xFF02L << 48, 0x1_0002);
}
