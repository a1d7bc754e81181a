package dev.slipway.fuzz;

import java.util.Arrays;

/** The bytes of one run, read from the front; behind their end everything is 0. */
public final class Input {

    private final byte[] data;
    private int at;

    /** Reads them. */
    public Input(byte[] data) {
        this.data = data;
    }

    /** Whether their end is not reached. */
    public boolean hasMore() {
        return at < data.length;
    }

    /** A byte, 0 to 255. */
    public int u8() {
        return at < data.length ? data[at++] & 0xFF : 0;
    }

    /** Two bytes, 0 to 65,535. */
    public int u16() {
        return u8() << 8 | u8();
    }

    /** Four bytes. */
    public int i32() {
        return u16() << 16 | u16();
    }

    /** Eight bytes. */
    public long i64() {
        return (long) i32() << 32 | i32() & 0xFFFF_FFFFL;
    }

    /** The lowest bit of a byte. */
    public boolean flag() {
        return (u8() & 1) != 0;
    }

    /** As many of the bytes as there are, at most {@code length}. */
    public byte[] bytes(int length) {
        int end = Math.min(data.length, at + length);
        byte[] taken = Arrays.copyOfRange(data, at, end);
        at = end;
        return taken;
    }

    /** Bytes behind a length of their own, 0 to 255. */
    public byte[] block() {
        return bytes(u8());
    }

    /** All that are left. */
    public byte[] rest() {
        return bytes(data.length - at);
    }
}
