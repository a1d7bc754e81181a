package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * One Ethernet frame (Ethernet II, without preamble and FCS) and what a virtio-net header says of it (virtio 1.3,
 * section 5.1.6): how far its checksum is done, and whether it is a large unit still to be cut into segments.
 *
 * <p>A flyweight: it names bytes that belong to someone else and is set anew for each frame. A large unit is one
 * TCP segment whose payload is longer than {@link #segmentSize}; its headers are those of the first segment, and a
 * channel that cannot carry it whole cuts it ({@code dev.slipway.ethernet.Segmenter}).
 */
public final class Frame {

    /** Room that the largest unit takes: an IP packet of 65,535 bytes behind an Ethernet header. */
    public static final int MAX_LENGTH = 65_535 + EthernetFrame.HEADER_LENGTH;

    /** How far the checksum of the transport layer is done. */
    public enum ChecksumState {
        /** The bytes hold a checksum; who receives the frame checks it. */
        COMPLETE,
        /** The bytes may hold anything; who handed the frame over vouches for it. */
        VERIFIED,
        /** The checksum field holds the pseudo-header's sum; who sends the frame on adds the rest. */
        PARTIAL
    }

    private MemorySegment bytes = MemorySegment.NULL;
    private long offset;
    private int length;
    private ChecksumState checksum = ChecksumState.COMPLETE;
    private int checksumStart;
    private int checksumOffset;
    private int segmentSize;
    private int row;
    private int distance;

    /** Names {@code length} bytes at {@code offset}; complete checksum, no large unit, a row of one. */
    public Frame set(MemorySegment bytes, long offset, int length) {
        this.bytes = bytes;
        this.offset = offset;
        this.length = length;
        this.checksum = ChecksumState.COMPLETE;
        this.checksumStart = 0;
        this.checksumOffset = 0;
        this.segmentSize = 0;
        this.row = 1;
        this.distance = 0;
        return this;
    }

    /** Says that the checksum was verified by who hands the frame over. */
    public Frame checksumVerified() {
        checksum = ChecksumState.VERIFIED;
        return this;
    }

    /**
     * Says that the checksum is partial.
     *
     * @param start where the sum begins, in bytes from the start of the frame
     * @param fieldOffset where the 16-bit result goes, in bytes from {@code start}
     */
    public Frame checksumPartial(int start, int fieldOffset) {
        checksum = ChecksumState.PARTIAL;
        checksumStart = start;
        checksumOffset = fieldOffset;
        return this;
    }

    /**
     * Says that it is a large TCP unit.
     *
     * @param payloadSize bytes of payload of each segment but the last; 0: not a large unit
     */
    public Frame largeUnit(int payloadSize) {
        segmentSize = payloadSize;
        return this;
    }

    /**
     * Says that it is the first of a row: frames of its length that are begun and sent whole one after another lie one behind
     * the other, unless something else is sent in between. The last of a row may be shorter.
     *
     * @param frames how many the row has, at least 1
     * @param bytes from the start of one to the start of the next
     */
    public Frame row(int frames, int bytes) {
        row = frames;
        distance = bytes;
        return this;
    }

    /** Shortens or lengthens the frame within the room it was given. */
    public Frame length(int newLength) {
        length = newLength;
        return this;
    }

    public MemorySegment bytes() {
        return bytes;
    }

    /** Where the Ethernet header begins in {@link #bytes}. */
    public long offset() {
        return offset;
    }

    /** Bytes from the Ethernet header to the end of the payload. */
    public int length() {
        return length;
    }

    public ChecksumState checksum() {
        return checksum;
    }

    /** For a partial checksum: where the sum begins, in bytes from the start of the frame. */
    public int checksumStart() {
        return checksumStart;
    }

    /** For a partial checksum: where the result goes, in bytes from {@link #checksumStart}. */
    public int checksumOffset() {
        return checksumOffset;
    }

    /** How many frames would lie one behind the other, this one included: 1 where the channel says nothing of it. */
    public int row() {
        return row;
    }

    /** Of a row: bytes from the start of a frame to the start of the next. */
    public int distance() {
        return distance;
    }

    /** Payload bytes of each segment to cut, or 0 if the frame is to go as it is. */
    public int segmentSize() {
        return segmentSize;
    }
}
