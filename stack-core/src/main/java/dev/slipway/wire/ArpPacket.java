package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * An ARP packet for IPv4 over Ethernet (RFC 826).
 *
 * <pre>
 *  0       2       4   5   6       8              14      18             24      28
 *  +-------+-------+---+---+-------+---------------+-------+---------------+-------+
 *  | htype | ptype |hl |pl |  op   |  sender MAC   | sdr IP|  target MAC   | tgt IP|
 *  +-------+-------+---+---+-------+---------------+-------+---------------+-------+
 * </pre>
 */
public final class ArpPacket {

    public static final int LENGTH = 28;

    public static final int REQUEST = 1;
    public static final int REPLY = 2;

    private static final int HARDWARE_ETHERNET = 1;
    private static final int OPERATION = 6;
    private static final int SENDER_MAC = 8;
    private static final int SENDER_IP = 14;
    private static final int TARGET_MAC = 18;
    private static final int TARGET_IP = 24;

    private int operation;
    private long senderMac;
    private int senderIp;
    private int targetIp;

    /**
     * Reads a packet.
     *
     * @return {@link DropReason#ARP} if it is cut short, is not for IPv4 over Ethernet, or neither asks nor answers
     */
    public DropReason parse(MemorySegment bytes, long offset, int length) {
        if (length < LENGTH
                || BigEndian.u16(bytes, offset) != HARDWARE_ETHERNET
                || BigEndian.u16(bytes, offset + 2) != EthernetFrame.TYPE_IPV4
                || BigEndian.u16(bytes, offset + 4) != 0x0604) {
            return DropReason.ARP;
        }
        operation = BigEndian.u16(bytes, offset + OPERATION);
        senderMac = BigEndian.u48(bytes, offset + SENDER_MAC);
        senderIp = BigEndian.i32(bytes, offset + SENDER_IP);
        targetIp = BigEndian.i32(bytes, offset + TARGET_IP);
        return operation == REQUEST || operation == REPLY ? DropReason.NONE : DropReason.ARP;
    }

    /** Writes a packet of {@link #LENGTH} bytes. */
    public static void write(
            MemorySegment bytes,
            long offset,
            int operation,
            long senderMac,
            int senderIp,
            long targetMac,
            int targetIp) {
        BigEndian.putU16(bytes, offset, HARDWARE_ETHERNET);
        BigEndian.putU16(bytes, offset + 2, EthernetFrame.TYPE_IPV4);
        BigEndian.putU16(bytes, offset + 4, 0x0604);
        BigEndian.putU16(bytes, offset + OPERATION, operation);
        BigEndian.putU48(bytes, offset + SENDER_MAC, senderMac);
        BigEndian.putI32(bytes, offset + SENDER_IP, senderIp);
        BigEndian.putU48(bytes, offset + TARGET_MAC, targetMac);
        BigEndian.putI32(bytes, offset + TARGET_IP, targetIp);
    }

    public int operation() {
        return operation;
    }

    public long senderMac() {
        return senderMac;
    }

    public int senderIp() {
        return senderIp;
    }

    public int targetIp() {
        return targetIp;
    }
}
