package dev.slipway.ethernet;

import dev.slipway.fuzz.Input;
import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Frame.ChecksumState;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;

/**
 * Frames that come with offload on a stream, in pieces: behind virtio-net headers ({@code +vnet_hdr}), and large units that
 * nothing tells of ({@code +offload}). What is delivered is what another reading of the headers allows. Each frame is then
 * cut and summed, as for a neighbour that takes no offload, and its header is written, as for one that does.
 *
 * <p>Findings: what is thrown, a frame that should have been refused or should not, sums and lengths of segments that are
 * wrong, bytes of other frames that change, a header that says something else than the one that came.
 */
public final class OffloadFuzz {

    private static final int MAX_FRAMES = 24;
    /** So many bytes around what is written must stay as they are. */
    private static final int MARGIN = 16;

    private static final byte MARK = 0x5A;

    private static final int[] LONGEST = {14 + 576, 14 + 1_280, 14 + 1_500, 14 + 9_000};

    private final Input input;
    private final Offload offload;
    private final int longestPlain;
    private final Queue<byte[]> expected = new ArrayDeque<>();
    private final Segmenter segmenter = new Segmenter();
    private int refused;

    private OffloadFuzz(Input input) {
        this.input = input;
        int kind = input.u8();
        offload = (kind & 1) == 0 ? Offload.VNET_HDR : Offload.UNTOLD;
        longestPlain = LONGEST[kind >>> 1 & 3];
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) {
        new OffloadFuzz(new Input(data)).run();
    }

    private void run() {
        byte[] all = stream();
        ReusedInputs.Reused reused = ReusedInputs.of(StreamFraming.QEMU, offload, longestPlain);
        StreamInput stream = reused.stream();
        LinkCounters counters = reused.counters();
        long refusedBefore = counters.badOffloadsFromGuest();
        GuestEvents events = new GuestEvents(Runnable::run, counters, () -> true);
        events.to(new Neighbour());
        stream.open();
        int at = 0;
        while (at < all.length) {
            // By single bytes only as often as the input says so: what is left when it is over comes at once.
            int piece = input.hasMore() ? 1 + input.u16() : StreamInput.CAPACITY;
            piece = Math.min(Math.min(piece, all.length - at), StreamInput.CAPACITY - stream.available());
            stream.append(Unpooled.wrappedBuffer(all, at, piece));
            at += piece;
            check(stream.deliver(events) == null, "the framing is lost");
            stream.compact();
        }
        stream.close();
        check(counters.failures() == 0, "a defect");
        check(expected.isEmpty(), expected.size() + " frames are missing");
        check(counters.badOffloadsFromGuest() - refusedBefore == refused, "headers that cannot be: " + refused);
    }

    // --- what comes ---------------------------------------------------------------------------------------------

    private byte[] stream() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int frames = input.u8() % MAX_FRAMES;
        for (int i = 0; i < frames && input.hasMore(); i++) {
            byte[] frame = (input.u8() & 1) == 0 ? input.block() : segment();
            byte[] header = offload == Offload.VNET_HDR ? header(frame) : new byte[0];
            int length = header.length + frame.length;
            bytes.writeBytes(ByteBuffer.allocate(4).putInt(length).array());
            bytes.writeBytes(header);
            bytes.writeBytes(frame);
            if (offload == Offload.UNTOLD || isPossible(header, frame)) {
                expected.add(ByteBuffer.allocate(length).put(header).put(frame).array());
            } else {
                refused++;
            }
        }
        return bytes.toByteArray();
    }

    /** A TCP segment over either IP as it should be, but for the bytes that the input puts in the place of others. */
    private byte[] segment() {
        int kind = input.u8();
        boolean v6 = (kind & 1) != 0;
        int options = (kind >>> 1 & 7) * 4;
        int network = v6 ? 40 : 20 + ((kind & 16) != 0 ? 8 : 0);
        int payload = (kind & 32) != 0 ? Math.min(input.u16(), 65_000) : input.u8();
        byte[] frame = new byte[14 + network + 20 + options + payload];
        ByteBuffer to = ByteBuffer.wrap(frame).putShort(12, (short) (v6 ? 0x86DD : 0x0800));
        if (v6) {
            to.putInt(14, 6 << 28).putShort(18, (short) (frame.length - 54)).put(20, (byte) 6);
        } else {
            to.put(14, (byte) (0x40 | network / 4)).putShort(16, (short) (frame.length - 14));
            to.put(22, (byte) 64).put(23, (byte) 6);
        }
        to.put(14 + network + 12, (byte) (5 + options / 4 << 4)).put(14 + network + 13, (byte) input.u8());
        Arrays.fill(frame, frame.length - payload, frame.length, (byte) kind);
        for (int i = kind >>> 6; i > 0; i--) {
            frame[input.u8() % frame.length] = (byte) input.u8();
        }
        return frame;
    }

    private byte[] header(byte[] frame) {
        int kind = input.u8();
        if ((kind & 1) == 0) {
            return Arrays.copyOf(input.bytes(VirtioNetHeader.LENGTH), VirtioNetHeader.LENGTH);
        }
        boolean v6 = frame.length > 12 && frame[12] == (byte) 0x86;
        int start = 14 + (v6 ? 40 : frame.length > 14 ? (frame[14] & 0xF) * 4 : 0);
        return ByteBuffer.allocate(VirtioNetHeader.LENGTH)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) (kind >>> 1 & 3))
                .put((byte) ((kind & 8) != 0 ? 0 : v6 ? 4 : 1))
                .putShort((short) 0)
                .putShort((short) ((kind & 16) != 0 ? input.u8() : 1_448))
                .putShort((short) (start + ((kind & 32) != 0 ? (byte) input.u8() : 0)))
                .putShort((short) ((kind & 64) != 0 ? input.u16() : 16))
                .putShort((short) 1)
                .array();
    }

    /** Whether virtio 1.3, section 5.1.6.2 allows a driver to say that of a frame, and it can be of one that Ethernet carries. */
    private static boolean isPossible(byte[] header, byte[] frame) {
        ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
        if (frame.length < 14) {
            return false;
        }
        boolean partial = (fields.get(0) & 1) != 0;
        int start = fields.getShort(6) & 0xFFFF;
        int field = fields.getShort(8) & 0xFFFF;
        if (partial && (start < 14 || start + field > frame.length - 2)) {
            return false;
        }
        int type = ByteBuffer.wrap(frame).getShort(12) & 0xFFFF;
        return switch (fields.get(1) & 0x7F) {
            case 0 -> true;
            case 1 -> type == 0x0800 && partial && field == 16 && fields.getShort(4) != 0;
            case 4 -> type == 0x86DD && partial && field == 16 && fields.getShort(4) != 0;
            default -> false;
        };
    }

    // --- what is delivered --------------------------------------------------------------------------------------

    private final class Neighbour implements GuestLink.Receiver {

        @Override
        public void attached() {}

        @Override
        public void frame(Frame frame) {
            byte[] whole = expected.poll();
            check(whole != null, "a frame more");
            int header = offload.headerLength();
            byte[] bytes = bytes(frame);
            check(Arrays.equals(bytes, Arrays.copyOfRange(whole, header, whole.length)), "another frame");
            if (frame.checksum() == ChecksumState.PARTIAL) {
                int end = frame.checksumStart() + frame.checksumOffset() + 2;
                check(frame.checksumStart() >= 14 && end <= frame.length(), "a sum outside of the frame");
            }
            check(frame.segmentSize() == 0 || frame.checksum() == ChecksumState.PARTIAL, "a unit with a sum");
            passOn(frame);
            cut(frame, bytes);
        }

        @Override
        public void endOfBatch() {}

        @Override
        public void ready() {}

        @Override
        public void detached(String reason) {}
    }

    private static byte[] bytes(Frame frame) {
        return frame.bytes().asSlice(frame.offset(), frame.length()).toArray(ValueLayout.JAVA_BYTE);
    }

    /** To a VM that takes offload: its header says the same as the one that came. */
    private static void passOn(Frame frame) {
        MemorySegment header = marked(VirtioNetHeader.LENGTH);
        if (!VirtioNetHeader.write(frame, header, MARGIN, 1)) {
            check(frame.segmentSize() > 0, "no header for a plain frame");
            return;
        }
        checkMargins(header, VirtioNetHeader.LENGTH);
        Frame again = new Frame().set(frame.bytes(), frame.offset(), frame.length());
        check(VirtioNetHeader.read(header, MARGIN, again), "a header of ours that cannot be");
        check(again.checksum() == frame.checksum(), "another state of the sum");
        check(again.checksumStart() == frame.checksumStart(), "a sum that begins elsewhere");
        check(again.checksumOffset() == frame.checksumOffset(), "a sum that belongs elsewhere");
        check(again.segmentSize() == frame.segmentSize() || again.segmentSize() == 0, "segments of another size");
    }

    /** To one that takes none. */
    private void cut(Frame frame, byte[] before) {
        int segments = segmenter.begin(frame);
        check(segments != Segmenter.MALFORMED || frame.segmentSize() > 0, "a plain frame is no unit");
        if (segments == 1) {
            complete(frame, before);
            return;
        }
        int covered = 0;
        MemorySegment headers = marked(Segmenter.MAX_HEADER_LENGTH);
        for (int i = 0; i < segments; i++) {
            segmenter.next(headers, MARGIN);
            int header = segmenter.headerLength();
            int payload = segmenter.payloadLength();
            check(header <= Segmenter.MAX_HEADER_LENGTH, "a header of " + header);
            check(payload > 0 && payload <= frame.segmentSize(), "a segment of " + payload);
            check(segmenter.payloadOffset() == frame.offset() + header + covered, "payload from elsewhere");
            covered += payload;
            checkSums(headers.asSlice(MARGIN, header), frame, payload);
        }
        if (segments > 0) {
            check(covered == segmenter.unitPayloadLength(), "payload is left over");
            checkMargins(headers, Segmenter.MAX_HEADER_LENGTH);
        }
        check(Arrays.equals(before, bytes(frame)), "the unit itself has changed");
    }

    private void checkSums(MemorySegment header, Frame unit, int payload) {
        boolean v6 = (header.get(ValueLayout.JAVA_BYTE, 14) & 0xFF) >>> 4 == 6;
        int network = v6 ? 40 : (header.get(ValueLayout.JAVA_BYTE, 14) & 0xF) * 4;
        int transport = (int) header.byteSize() - 14 - network;
        ByteBuffer fields = header.asByteBuffer();
        int length = fields.getShort(v6 ? 18 : 16) & 0xFFFF;
        check(length == transport + payload + (v6 ? 0 : network), "an IP length of " + length);
        check(v6 || Checksum.fold(Checksum.sum(header, 14, network)) == 0xFFFF, "the sum of an IP header");
        int addresses = Checksum.sum(header, v6 ? 22 : 26, v6 ? 32 : 8);
        int sum = Checksum.fold(addresses)
                + 6
                + transport
                + payload
                + Checksum.fold(Checksum.sum(header, 14 + network, transport))
                + Checksum.fold(Checksum.sum(unit.bytes(), segmenter.payloadOffset(), payload));
        check(Checksum.fold(sum) == 0xFFFF, "the sum of a segment");
    }

    /** In place: nothing but one field of the frame changes. */
    private static void complete(Frame frame, byte[] before) {
        check(Segmenter.complete(frame), "a sum that is said to lie within the frame does not");
        byte[] after = bytes(frame);
        int first = Arrays.mismatch(before, after);
        if (first < 0) {
            return;
        }
        check(frame.checksum() != ChecksumState.COMPLETE, "a frame that was complete has changed");
        int end = first;
        for (int i = first; i < after.length; i++) {
            end = before[i] == after[i] ? end : i;
        }
        check(end - first < 2, "more than a sum has changed");
        if (frame.checksum() == ChecksumState.PARTIAL) {
            int field = frame.checksumStart() + frame.checksumOffset();
            check(first >= field && end <= field + 1, "something else than the sum has changed");
        }
        MemorySegment.copy(before, 0, frame.bytes(), ValueLayout.JAVA_BYTE, frame.offset(), before.length);
    }

    private static MemorySegment marked(int length) {
        byte[] bytes = new byte[length + 2 * MARGIN];
        Arrays.fill(bytes, MARK);
        return MemorySegment.ofArray(bytes);
    }

    private static void checkMargins(MemorySegment bytes, int length) {
        for (int i = 0; i < MARGIN; i++) {
            check(bytes.get(ValueLayout.JAVA_BYTE, i) == MARK, "bytes before have changed");
            check(bytes.get(ValueLayout.JAVA_BYTE, MARGIN + length + i) == MARK, "bytes behind have changed");
        }
    }
}
