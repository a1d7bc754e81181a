package dev.slipway.dhcp;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DhcpMessage;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.LongPredicate;

/**
 * Answers the DHCP requests of one stack's guest (RFC 2131, section 4.3). One request at a time: {@link #answer}, then,
 * if {@link #replyLength} is not 0, {@link #copyReply} to where {@link #replyDestination} says. Belongs to the thread
 * that owns the stack; the lease table is shared.
 */
public final class DhcpServer {

    /** Renewal after half the lease, rebinding after seven eighths (RFC 2131, section 4.4.5). */
    private static final int RENEWAL_SECONDS = LeaseTable.LEASE_SECONDS / 2;

    private static final int REBINDING_SECONDS = LeaseTable.LEASE_SECONDS / 8 * 7;
    /** The longest IP and UDP headers that a reply goes behind. */
    private static final int IP_AND_UDP = 28;

    private static final int MAX_REPLY = 1_472;
    private static final int BROADCAST = -1;
    /** Flags and two codes before the name of option 81, and the flag that says how the name is written. */
    private static final int FQDN_HEADER = 3;

    private static final int FQDN_ENCODED = 0x04;
    private static final byte[] NO_LEASE = "address not available".getBytes(StandardCharsets.US_ASCII);

    private final StackSettings settings;
    private final LeaseTable leases;
    private final int holder;
    private final byte[] domain;
    private final byte[] searchList;
    private final byte[] timeServers;
    private final byte[] routes;

    private final DhcpMessage request = new DhcpMessage();
    private final MemorySegment reply = MemorySegment.ofArray(new byte[MAX_REPLY]);
    private int replyLength;
    private int replyDestination;
    private long replyMac;
    private LongPredicate clients = mac -> true;

    /**
     * A server for the subnet of these settings.
     *
     * @throws IllegalArgumentException if the domain or a search domain is not a domain name
     */
    public DhcpServer(StackSettings settings, LeaseTable leases) {
        this(settings, leases, leases.join());
    }

    /**
     * The same for a guest that has joined the table already.
     *
     * @param holder what the table calls the guest
     */
    public DhcpServer(StackSettings settings, LeaseTable leases, int holder) {
        this.settings = settings;
        this.leases = leases;
        this.holder = holder;
        String name = settings.domain();
        if (!name.isEmpty()) {
            DnsMessage.encodeName(name); // refuses what is no name
        }
        this.domain = name.getBytes(StandardCharsets.US_ASCII);
        ByteArrayOutputStream list = new ByteArrayOutputStream();
        for (String searchDomain : settings.searchDomains()) {
            list.writeBytes(DnsMessage.encodeName(searchDomain));
        }
        this.searchList = list.toByteArray();
        this.timeServers = timeServers(leases.dhcp().ntpServers());
        this.routes = routes(leases.dhcp().routes());
    }

    /** Answers only in the name of some MAC addresses from now on: others are somebody else's. */
    public void serveOnly(LongPredicate those) {
        clients = those;
    }

    /**
     * Answers a request: the payload of a datagram from a client to port 67.
     *
     * @param now nanoseconds on the clock of all users of the lease table
     * @return {@link DropReason#DHCP} for what is no request, {@link DropReason#DHCP_POOL} if no address is left, {@link
     *     DropReason#NONE} if it was dealt with, with a reply or, where the protocol has none, without
     */
    public DropReason answer(MemorySegment message, long offset, int length, long now) {
        replyLength = 0;
        if (request.parse(message, offset, length) != DropReason.NONE || !isFromClient()) {
            return DropReason.DHCP;
        }
        long client = request.hardwareAddress();
        boolean forUs =
                !request.has(DhcpMessage.OPTION_SERVER) || request.i32(DhcpMessage.OPTION_SERVER) == settings.gateway();
        return switch (request.type()) {
            case DhcpMessage.DISCOVER -> discover(client, now);
            case DhcpMessage.REQUEST -> forUs ? request(client, now) : otherServerChosen(client);
            case DhcpMessage.DECLINE -> {
                if (forUs) {
                    leases.decline(client, request.i32(DhcpMessage.OPTION_REQUESTED_ADDRESS), now);
                }
                yield DropReason.NONE;
            }
            case DhcpMessage.RELEASE -> {
                if (forUs && request.clientAddress() == leases.leaseOf(client)) {
                    leases.release(client, now);
                }
                yield DropReason.NONE;
            }
            case DhcpMessage.INFORM -> inform();
            default -> DropReason.DHCP; // what only servers say
        };
    }

    private boolean isFromClient() {
        long client = request.hardwareAddress();
        int relay = request.relayAddress();
        return request.operation() == DhcpMessage.BOOT_REQUEST
                && client != 0
                && !MacAddress.isGroup(client)
                && client != settings.gatewayMac()
                && clients.test(client)
                && (relay == 0 || settings.contains(relay));
    }

    private DropReason discover(long client, long now) {
        int address = leases.offer(holder, client, request.i32(DhcpMessage.OPTION_REQUESTED_ADDRESS), now);
        if (address == 0) {
            return DropReason.DHCP_POOL;
        }
        if (request.has(DhcpMessage.OPTION_RAPID_COMMIT) && leases.commit(holder, client, address, now)) {
            leases.name(client, hostLabel());
            reply(DhcpMessage.ACK, address);
        } else {
            reply(DhcpMessage.OFFER, address);
        }
        return DropReason.NONE;
    }

    /** Selecting and init-reboot name the address in an option; renewing and rebinding in ciaddr. */
    private DropReason request(long client, long now) {
        int requested = request.i32(DhcpMessage.OPTION_REQUESTED_ADDRESS);
        int address = requested != 0 ? requested : request.clientAddress();
        if (address == 0) {
            return DropReason.DHCP;
        }
        boolean may = leases.commit(holder, client, address, now);
        if (may) {
            leases.name(client, hostLabel());
        }
        reply(may ? DhcpMessage.ACK : DhcpMessage.NAK, address);
        return DropReason.NONE;
    }

    private DropReason otherServerChosen(long client) {
        leases.withdraw(client);
        return DropReason.NONE;
    }

    private DropReason inform() {
        reply(DhcpMessage.INFORM, 0);
        return DropReason.NONE;
    }

    /**
     * Writes a reply and its destination (RFC 2131, sections 4.1 and 4.3.1, table 3).
     *
     * @param kind OFFER, ACK, NAK, or INFORM for the ACK that answers it
     */
    private void reply(int kind, int address) {
        boolean nak = kind == DhcpMessage.NAK;
        boolean inform = kind == DhcpMessage.INFORM;
        int relay = request.relayAddress();
        int flags = request.flags() & DhcpMessage.FLAG_BROADCAST | (nak && relay != 0 ? DhcpMessage.FLAG_BROADCAST : 0);
        int clientAddress = nak || kind == DhcpMessage.OFFER ? 0 : request.clientAddress();
        long at = DhcpMessage.write(
                reply,
                0,
                DhcpMessage.BOOT_REPLY,
                request.transaction(),
                flags,
                clientAddress,
                nak || inform ? 0 : address,
                relay,
                request.hardwareAddress());
        at = DhcpMessage.putU8(reply, at, DhcpMessage.OPTION_MESSAGE_TYPE, inform ? DhcpMessage.ACK : kind);
        at = DhcpMessage.putI32(reply, at, DhcpMessage.OPTION_SERVER, settings.gateway());
        if (nak) {
            at = DhcpMessage.put(reply, at, DhcpMessage.OPTION_TEXT, NO_LEASE);
        } else {
            at = inform ? at : leaseTimes(at, kind);
            at = configuration(at);
        }
        at = echoes(at, !nak);
        replyLength = DhcpMessage.end(reply, 0, at);
        direct(nak, address);
    }

    private long leaseTimes(long from, int kind) {
        long at = DhcpMessage.putI32(reply, from, DhcpMessage.OPTION_LEASE_TIME, LeaseTable.LEASE_SECONDS);
        at = DhcpMessage.putI32(reply, at, DhcpMessage.OPTION_RENEWAL_TIME, RENEWAL_SECONDS);
        at = DhcpMessage.putI32(reply, at, DhcpMessage.OPTION_REBINDING_TIME, REBINDING_SECONDS);
        boolean rapid = kind == DhcpMessage.ACK && request.type() == DhcpMessage.DISCOVER;
        return rapid ? DhcpMessage.put(reply, at, DhcpMessage.OPTION_RAPID_COMMIT, reply, 0, 0) : at;
    }

    private long configuration(long from) {
        long at = DhcpMessage.putI32(reply, from, DhcpMessage.OPTION_SUBNET_MASK, settings.netmask());
        at = DhcpMessage.putI32(reply, at, DhcpMessage.OPTION_ROUTER, settings.gateway());
        at = DhcpMessage.putI32(reply, at, DhcpMessage.OPTION_NAME_SERVER, settings.gateway());
        at = DhcpMessage.putI32(reply, at, DhcpMessage.OPTION_BROADCAST, settings.broadcast());
        at = DhcpMessage.putU16(reply, at, DhcpMessage.OPTION_MTU, settings.mtu());
        return DhcpMessage.put(reply, at, DhcpMessage.OPTION_DOMAIN_NAME, domain);
    }

    /**
     * What depends on the client: its identifier returned (RFC 6842), its own host name, the search list as far as there
     * is room, and last the relay's information (RFC 3046, section 2.2).
     */
    private long echoes(long from, boolean configuration) {
        int limit = Math.min(
                        MAX_REPLY,
                        Math.max(
                                DhcpMessage.MAX_UNNEGOTIATED_LENGTH,
                                Math.min(request.u16(DhcpMessage.OPTION_MAX_LENGTH), settings.mtu()) - IP_AND_UDP))
                - 1;
        int relayInformation = relayInformationLength();
        long at = echo(from, DhcpMessage.OPTION_CLIENT, limit - relayInformation);
        if (configuration) {
            if (isHostName()) {
                at = echo(at, DhcpMessage.OPTION_HOST_NAME, limit - relayInformation);
            }
            at = put(at, DhcpMessage.OPTION_ROUTES, routes, limit - relayInformation);
            at = put(at, DhcpMessage.OPTION_TIME_SERVER, timeServers, limit - relayInformation);
            at = put(at, DhcpMessage.OPTION_SEARCH_LIST, searchList, limit - relayInformation);
        }
        return relayInformation > 0 ? echo(at, DhcpMessage.OPTION_RELAY, limit) : at;
    }

    /** Writes an option if there is one and it has room. */
    private long put(long at, int code, byte[] data, int limit) {
        int length = data.length + 2 * ((data.length + 254) / 255);
        return at + length <= limit ? DhcpMessage.put(reply, at, code, data) : at;
    }

    private static byte[] timeServers(List<Integer> servers) {
        ByteArrayOutputStream list = new ByteArrayOutputStream();
        for (int server : servers) {
            list.writeBytes(IpAddress.ofV4(server).toBytes());
        }
        return list.toByteArray();
    }

    /**
     * Routes as RFC 3442 writes them. A client that gets them does not look at the option for its router, so the default
     * route is among them.
     */
    private byte[] routes(List<DhcpSettings.Route> extra) {
        if (extra.isEmpty()) {
            return new byte[0];
        }
        ByteArrayOutputStream list = new ByteArrayOutputStream();
        for (DhcpSettings.Route route : extra) {
            list.write(route.prefixLength());
            list.write(IpAddress.ofV4(route.network()).toBytes(), 0, (route.prefixLength() + 7) / 8);
            list.writeBytes(IpAddress.ofV4(route.router()).toBytes());
        }
        list.write(0);
        list.writeBytes(IpAddress.ofV4(settings.gateway()).toBytes());
        return list.toByteArray();
    }

    private int relayInformationLength() {
        return request.has(DhcpMessage.OPTION_RELAY) ? 2 + request.optionLength(DhcpMessage.OPTION_RELAY) : 0;
    }

    private long echo(long at, int code, int limit) {
        int length = request.optionLength(code);
        if (!request.has(code) || at + 2 + length > limit) {
            return at;
        }
        return DhcpMessage.put(reply, at, code, request.bytes(), request.optionOffset(code), length);
    }

    /** Whether the client says what it is called, and that is a host's name: letters, digits, hyphens and dots. */
    private boolean isHostName() {
        int length = request.optionLength(DhcpMessage.OPTION_HOST_NAME);
        for (int i = 0; i < length; i++) {
            int letter = BigEndian.u8(request.bytes(), request.optionOffset(DhcpMessage.OPTION_HOST_NAME) + i);
            boolean right = letter >= 'a' && letter <= 'z'
                    || letter >= 'A' && letter <= 'Z'
                    || letter >= '0' && letter <= '9'
                    || letter == '-'
                    || letter == '.';
            if (!right) {
                return false;
            }
        }
        return length > 0;
    }

    /**
     * What the client calls itself, up to the first dot: by option 12 or, from those that send it instead, by option 81
     * (RFC 4702; its name in ASCII, or in the encoding of DNS). Empty if that is no host's name.
     */
    private String hostLabel() {
        int code = request.has(DhcpMessage.OPTION_HOST_NAME)
                ? DhcpMessage.OPTION_HOST_NAME
                : DhcpMessage.OPTION_CLIENT_FQDN;
        int from = 0;
        int length = request.optionLength(code);
        if (code == DhcpMessage.OPTION_CLIENT_FQDN) {
            boolean encoded = (request.u8(code) & FQDN_ENCODED) != 0;
            from = FQDN_HEADER + (encoded ? 1 : 0);
            length = encoded && length >= from
                    ? from + BigEndian.u8(request.bytes(), request.optionOffset(code) + FQDN_HEADER)
                    : length;
        }
        StringBuilder label = new StringBuilder();
        for (int i = from; i < Math.min(length, request.optionLength(code)); i++) {
            int letter = BigEndian.u8(request.bytes(), request.optionOffset(code) + i);
            if (letter == '.' || letter == 0) {
                break;
            }
            label.append((char) letter);
        }
        String name = label.toString();
        return name.matches("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?") && !name.equalsIgnoreCase("localhost")
                ? name
                : "";
    }

    private void direct(boolean nak, int address) {
        int client = request.clientAddress();
        boolean broadcast = nak || (request.flags() & DhcpMessage.FLAG_BROADCAST) != 0;
        if (request.relayAddress() != 0) {
            // The relay's MAC address is not in the message; its IP address is enough for it to take a broadcast frame.
            replyDestination = request.relayAddress();
            replyMac = MacAddress.BROADCAST;
        } else if (!nak && client != 0 && settings.contains(client)) {
            replyDestination = client;
            replyMac = request.hardwareAddress();
        } else if (broadcast || address == 0) {
            replyDestination = BROADCAST;
            replyMac = MacAddress.BROADCAST;
        } else {
            replyDestination = address;
            replyMac = request.hardwareAddress();
        }
    }

    /** Whether the request answered last was a DISCOVER: a client that starts from scratch. */
    public boolean wasDiscover() {
        return request.type() == DhcpMessage.DISCOVER;
    }

    /** The bytes of the reply to the last request, or 0 if there is none. */
    public int replyLength() {
        return replyLength;
    }

    /** Copies the reply: the payload of a datagram from the gateway's port 67 to {@link #replyPort}. */
    public void copyReply(MemorySegment target, long offset) {
        MemorySegment.copy(reply, ValueLayout.JAVA_BYTE, 0, target, ValueLayout.JAVA_BYTE, offset, replyLength);
    }

    /** The IPv4 address that the reply goes to, in network order; -1 (255.255.255.255) to all. */
    public int replyDestination() {
        return replyDestination;
    }

    /** The UDP port that the reply goes to: a client's, or a relay's. */
    public int replyPort() {
        return request.relayAddress() != 0 ? DhcpMessage.SERVER_PORT : DhcpMessage.CLIENT_PORT;
    }

    /** The MAC address that the reply goes to: the client's, or that of all. */
    public long replyMac() {
        return replyMac;
    }
}
