package dev.slipway.ethernet;

import dev.slipway.wire.IpAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * The handshake of VPNKit's protocol, version 22, as its server does it and as gvproxy does. All numbers are little-endian.
 *
 * <pre>
 *  VM      0      5          9                              49
 *          +------+----------+------------------------------+
 *          |VMN3T | version  | commit, 40 bytes of text     |   both sides, the VM first
 *          +------+----------+------------------------------+
 *          0         1                         37           41
 *          +---------+-------------------------+------------+
 *          | command | UUID, 36 bytes of text  | IPv4       |   1: Ethernet; 8: the same, with an address preferred
 *          +---------+-------------------------+------------+
 *  server  0      1      3         5            11          258
 *          +------+------+---------+------------+-----------+
 *          |  1   | MTU  | longest | MAC        | zero      |   the VM's interface
 *          |  2   | n    | n bytes of text      | zero      |   no, and why
 *          +------+------+---------+------------+-----------+
 * </pre>
 *
 * <p>VPNKit's server answers an unknown version with its own, so that the VM can see it, and hangs up; a command it does
 * not know and a UUID that is none end the connection without an answer. It does not look at the magic; here a wrong one
 * ends the connection, because what follows it cannot be what it seems. gvproxy repeats what the VM said and checks
 * nothing.
 */
public final class VpnkitHandshake implements Handshake {

    /** Bytes of the first message, both ways. */
    static final int INIT = 49;
    /** Bytes of a command. */
    static final int COMMAND = 41;
    /** Bytes of the answer to it. */
    static final int RESPONSE = 258;

    static final int VERSION = 22;

    private static final byte[] MAGIC = "VMN3T".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] COMMIT = "0123456789".repeat(4).getBytes(StandardCharsets.US_ASCII);
    private static final Pattern UUID_TEXT = Pattern.compile("\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}");
    private static final int ETHERNET = 1;
    private static final int PREFERRED_IPV4 = 8;
    private static final int VIF = 1;
    private static final int DISCONNECT = 2;

    /** What is added to the MTU for the longest frame, by VPNKit's server and by gvproxy. */
    private static final int VPNKIT_EXTRA = 50;

    private static final int GVPROXY_EXTRA = 14;

    /** Who VMs are: asked from any event loop. */
    public interface Identities {

        /**
         * The MAC address of a VM: the same each time for the same UUID.
         *
         * @param uuid empty for a VM that has none
         * @param preferred the IPv4 address it wants, in network order, or 0
         */
        Identity of(Optional<UUID> uuid, int preferred);
    }

    /**
     * A MAC address, or a refusal.
     *
     * @param mac 48 bits
     * @param refusal why the VM gets none, as VPNKit words it, or null
     */
    public record Identity(long mac, String refusal) {}

    private final boolean strict;
    private final int mtu;
    private final Identities identities;
    private int wanted = INIT;

    private VpnkitHandshake(boolean strict, int mtu, Identities identities) {
        this.strict = strict;
        this.mtu = mtu;
        this.identities = identities;
    }

    /** As VPNKit's server does it. */
    static Factory vpnkit(int mtu, Identities identities) {
        return () -> new VpnkitHandshake(true, mtu, identities);
    }

    /** As gvproxy does it for HyperKit. */
    static Factory gvproxy(int mtu, Identities identities) {
        return () -> new VpnkitHandshake(false, mtu, identities);
    }

    @Override
    public int wanted() {
        return wanted;
    }

    @Override
    public Step step(byte[] bytes) {
        if (wanted == INIT) {
            wanted = COMMAND;
            return init(bytes);
        }
        wanted = 0;
        return command(bytes);
    }

    private Step init(byte[] bytes) {
        if (!strict) {
            return Step.goOn(Arrays.copyOf(bytes, INIT));
        }
        byte[] own = little(INIT).put(MAGIC).putInt(VERSION).put(COMMIT).array();
        if (!Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
            return new Step(new byte[0], "it does not begin with VMN3T, so it is not VPNKit's protocol");
        }
        int version = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(MAGIC.length);
        return new Step(
                own,
                version == VERSION
                        ? null
                        : "it speaks version " + Integer.toUnsignedString(version) + " of VPNKit's protocol, not "
                                + VERSION);
    }

    private Step command(byte[] bytes) {
        int command = bytes[0] & 0xFF;
        if (strict && command != ETHERNET && command != PREFERRED_IPV4) {
            return new Step(new byte[0], "it sent command " + command + ", which is neither 1 nor 8");
        }
        Optional<UUID> uuid = uuid(bytes);
        if (strict && uuid.isEmpty() && !isAnonymous(bytes)) {
            return new Step(new byte[0], "what it sent for a UUID is none");
        }
        // The number's lower bytes come first, and network order is the number.
        int preferred = command == PREFERRED_IPV4
                ? ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(37)
                : 0;
        Identity identity = identities.of(uuid, preferred);
        if (identity.refusal() != null) {
            byte[] text = identity.refusal().getBytes(StandardCharsets.US_ASCII);
            return new Step(
                    little(RESPONSE)
                            .put((byte) DISCONNECT)
                            .put((byte) text.length)
                            .put(text)
                            .array(),
                    (preferred == 0 ? "" : "it wants " + IpAddress.toString(preferred) + ": ") + identity.refusal());
        }
        ByteBuffer vif = little(RESPONSE).put((byte) VIF).putShort((short) mtu).putShort((short)
                Math.min(mtu + (strict ? VPNKIT_EXTRA : GVPROXY_EXTRA), 0xFFFF));
        for (int shift = 40; shift >= 0; shift -= 8) {
            vif.put((byte) (identity.mac() >>> shift));
        }
        return Step.goOn(vif.array());
    }

    private static boolean isAnonymous(byte[] bytes) {
        for (int i = 1; i < 37; i++) {
            if (bytes[i] != 0) {
                return false;
            }
        }
        return true;
    }

    private static Optional<UUID> uuid(byte[] bytes) {
        String text = new String(bytes, 1, 36, StandardCharsets.ISO_8859_1);
        return UUID_TEXT.matcher(text).matches() ? Optional.of(UUID.fromString(text)) : Optional.empty();
    }

    private static ByteBuffer little(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    }
}
