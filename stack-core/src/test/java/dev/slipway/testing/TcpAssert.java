package dev.slipway.testing;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Assertions about a TCP segment. Sequence numbers are compared by their low 32 bits. */
public final class TcpAssert extends TransportAssert<TcpAssert> {

    private static final int NO_OPTION = -1;

    TcpAssert(SentFrame frame) {
        super(frame, TcpAssert.class);
    }

    @Override
    int headerLength() {
        return (u8(12) >> 4) * 4;
    }

    public TcpAssert from(String ip, int port) {
        return from(ip).same("source port", port, u16(0));
    }

    public TcpAssert to(String ip, int port) {
        return to(ip).same("destination port", port, u16(2));
    }

    /** All of these flags are set; others may be. */
    public TcpAssert has(int... flags) {
        int wanted = Arrays.stream(flags).reduce(0, (a, b) -> a | b);
        return same("flags", SentFrame.flags(wanted), SentFrame.flags(u8(13) & wanted));
    }

    /** These flags are set and no other. */
    public TcpAssert hasOnly(int... flags) {
        int wanted = Arrays.stream(flags).reduce(0, (a, b) -> a | b);
        return same("flags", SentFrame.flags(wanted), SentFrame.flags(u8(13)));
    }

    /** None of these flags is set. */
    public TcpAssert hasNot(int... flags) {
        int unwanted = Arrays.stream(flags).reduce(0, (a, b) -> a | b);
        return same("unwanted flags", SentFrame.flags(0), SentFrame.flags(u8(13) & unwanted));
    }

    public TcpAssert seq(long expected) {
        return same("sequence number", expected & 0xFFFF_FFFFL, seq());
    }

    public TcpAssert ack(long expected) {
        has(0x10);
        return same("acknowledgement number", expected & 0xFFFF_FFFFL, ack());
    }

    /** The window field as it stands on the wire. */
    public TcpAssert hasWindow(int expected) {
        return same("window", expected, window());
    }

    public TcpAssert hasMss(int expected) {
        return same("MSS option", expected, mss());
    }

    public TcpAssert hasWindowScale(int expected) {
        return same("window scale option", expected, windowScale());
    }

    public TcpAssert hasSackPermitted() {
        return same("SACK-permitted option", 0, option(4) == NO_OPTION ? NO_OPTION : 0);
    }

    /** Without an option of that kind. */
    public TcpAssert hasNoOption(int kind) {
        return same("option " + kind, NO_OPTION, option(kind));
    }

    /** Selective acknowledgements: left and right edge of each block, in the order they stand. */
    public TcpAssert hasSack(long... edges) {
        List<Long> expected =
                Arrays.stream(edges).mapToObj(edge -> edge & 0xFFFF_FFFFL).toList();
        return same("SACK blocks", expected, sack());
    }

    public long seq() {
        return u32(4);
    }

    public long ack() {
        return u32(8);
    }

    public int flags() {
        return u8(13);
    }

    public int window() {
        return u16(14);
    }

    /** The MSS option, or -1. */
    public int mss() {
        int at = option(2);
        return at == NO_OPTION ? NO_OPTION : u16(at + 2);
    }

    /** The window scale option, or -1. */
    public int windowScale() {
        int at = option(3);
        return at == NO_OPTION ? NO_OPTION : u8(at + 2);
    }

    /** The edges of the SACK option's blocks; empty without one. */
    public List<Long> sack() {
        List<Long> edges = new ArrayList<>();
        int at = option(5);
        for (int i = 2; at != NO_OPTION && i < u8(at + 1); i += 4) {
            edges.add(u32(at + i));
        }
        return edges;
    }

    private int option(int kind) {
        int at = 20;
        while (at < headerLength() && u8(at) != 0) {
            if (u8(at) == kind) {
                return at;
            }
            if (u8(at) != 1 && u8(at + 1) < 2) {
                throw failure("option %d at byte %d says its length is %d in %s", u8(at), at, u8(at + 1), actual);
            }
            at += u8(at) == 1 ? 1 : u8(at + 1);
        }
        return NO_OPTION;
    }
}
