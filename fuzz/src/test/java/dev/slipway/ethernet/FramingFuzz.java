package dev.slipway.ethernet;

import dev.slipway.fuzz.Input;
import dev.slipway.wire.Frame;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The bytes of a stream connection: the handshakes of VPNKit and HyperKit, then frames in each framing, in pieces as the
 * input cuts them. What is delivered is what a reader finds that has all bytes at once.
 */
public final class FramingFuzz {

    private static final int MAX_BYTES = 400_000;

    private final Input input;
    private final Found found = new Found();

    private FramingFuzz(Input input) {
        this.input = input;
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) {
        FramingFuzz target = new FramingFuzz(new Input(data));
        int kind = target.input.u8();
        if (kind % 4 == 3) {
            target.handshake(kind >= 128);
        } else {
            target.frames(kind % 2 == 0 ? StreamFraming.QEMU : StreamFraming.HYPERKIT);
        }
    }

    private static final class Found implements GuestLink.Receiver {
        final List<byte[]> frames = new ArrayList<>();

        @Override
        public void attached() {}

        @Override
        public void frame(Frame frame) {
            frames.add(frame.bytes().asSlice(frame.offset(), frame.length()).toArray(ValueLayout.JAVA_BYTE));
        }

        @Override
        public void endOfBatch() {}

        @Override
        public void ready() {}

        @Override
        public void detached(String reason) {}
    }

    private void frames(StreamFraming framing) {
        byte[] all = stream(framing);
        ReusedInputs.Reused reused = ReusedInputs.of(framing, Offload.NONE, Frame.MAX_LENGTH);
        StreamInput stream = reused.stream();
        GuestEvents events = new GuestEvents(Runnable::run, reused.counters(), () -> true);
        events.to(found);
        stream.open();
        int at = 0;
        String lost = null;
        while (at < all.length && lost == null) {
            // By single bytes only as often as the input says so: what is left when it is over comes at once.
            int piece = input.hasMore() ? 1 + input.u16() : StreamInput.CAPACITY;
            piece = Math.min(Math.min(piece, all.length - at), StreamInput.CAPACITY - stream.available());
            check(piece > 0, "no room for a read");
            stream.append(Unpooled.wrappedBuffer(all, at, piece));
            at += piece;
            lost = stream.deliver(events);
            stream.compact();
            stream.position();
        }
        check(stream.isUnshared(), "the buffer leaks");
        stream.close();
        List<byte[]> expected = new ArrayList<>();
        boolean isLost = read(framing, all, expected);
        check(isLost == (lost != null), "lost: " + lost);
        check(expected.size() == found.frames.size(), expected.size() + " frames, not " + found.frames.size());
        for (int i = 0; i < expected.size(); i++) {
            check(Arrays.equals(expected.get(i), found.frames.get(i)), "frame " + i + " is another");
        }
        check(reused.counters().failures() == 0, "a defect");
    }

    /** Bytes as the input has them, and frames whose lengths are right. */
    private byte[] stream(StreamFraming framing) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int steps = input.u8() % 32;
        for (int i = 0; i < steps && input.hasMore() && bytes.size() < MAX_BYTES; i++) {
            int kind = input.u8();
            if (kind % 3 == 0) {
                bytes.writeBytes(input.block());
                continue;
            }
            int length = kind % 3 == 1 ? input.u8() : input.u16() * (1 + (kind & 4));
            if (framing == StreamFraming.QEMU) {
                bytes.write(length >>> 24);
                bytes.write(length >>> 16);
                bytes.write(length >>> 8);
                bytes.write(length);
            } else {
                length &= 0xFFFF;
                bytes.write(length);
                bytes.write(length >>> 8);
            }
            byte[] frame = new byte[length];
            Arrays.fill(frame, (byte) kind);
            bytes.writeBytes(frame);
        }
        return bytes.toByteArray();
    }

    /** The same in the simplest way; whether the framing is lost. */
    private static boolean read(StreamFraming framing, byte[] all, List<byte[]> frames) {
        int prefix = framing == StreamFraming.QEMU ? 4 : 2;
        int at = 0;
        while (all.length - at >= prefix) {
            long length = 0;
            for (int i = 0; i < prefix; i++) {
                int b = all[at + (prefix == 4 ? i : prefix - 1 - i)] & 0xFF;
                length = length << 8 | b;
            }
            if (length > StreamInput.MAX_SKIPPED) {
                return true;
            }
            at += prefix;
            if (at + length > all.length) {
                return false;
            }
            if (length <= Frame.MAX_LENGTH) {
                frames.add(Arrays.copyOfRange(all, at, at + (int) length));
            }
            at += (int) length;
        }
        return false;
    }

    private void handshake(boolean strict) {
        VpnkitHandshake.Identities identities = (uuid, preferred) -> new VpnkitHandshake.Identity(
                0x0250_0000_0001L, (preferred & 3) == 3 ? "Requested IP is already in use" : null);
        int mtu = input.u16();
        Handshake handshake =
                (strict ? VpnkitHandshake.vpnkit(mtu, identities) : VpnkitHandshake.gvproxy(mtu, identities)).begin();
        int steps = 0;
        while (handshake.wanted() > 0) {
            byte[] bytes = Arrays.copyOf(input.bytes(handshake.wanted()), handshake.wanted());
            int wanted = handshake.wanted();
            Handshake.Step step = handshake.step(bytes);
            check(++steps <= 2, "a handshake without end");
            int most = wanted == VpnkitHandshake.INIT ? VpnkitHandshake.INIT : VpnkitHandshake.RESPONSE;
            check(step.answer().length == 0 || step.answer().length == most, "an answer of another length");
            if (step.refusal() != null) {
                return;
            }
        }
    }
}
