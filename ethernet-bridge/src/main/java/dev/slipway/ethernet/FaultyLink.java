package dev.slipway.ethernet;

import dev.slipway.wire.Frame;
import io.netty.channel.EventLoop;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/**
 * A link that loses, doubles, damages, delays and reorders frames, both ways, as a seed decides: a decorator of any
 * link and of its receiver, for tests and for the curious.
 *
 * <p>Frames to the guest are cut and their checksums completed first, so that each segment meets its own fate and
 * damage is not repaired on the way. A delayed frame is a copy; at most {@link #MAX_HELD} are held, what comes beyond
 * is lost and counted.
 */
public final class FaultyLink implements GuestLink {

    /** Frames that are held back at the same time, in both directions together. */
    public static final int MAX_HELD = 4096;

    private final GuestLink link;
    private final EventLoop loop;
    private final Faults faults;
    private final Random randomFromGuest;
    private final Random randomToGuest;
    private final Segmenter segmenter = new Segmenter();
    private final Frame building = new Frame();
    private final Frame arriving = new Frame();
    private final MemorySegment unit = Arena.ofAuto().allocate(Frame.MAX_LENGTH);
    private final MemorySegment piece = Arena.ofAuto().allocate(Frame.MAX_LENGTH);

    private Receiver receiver;
    private int connection;
    private int held;
    private long lost;
    private long duplicated;
    private long corrupted;
    private long delayed;

    /**
     * Wraps a link.
     *
     * @param loop the event loop that owns the link
     */
    public FaultyLink(GuestLink link, EventLoop loop, Faults faults) {
        this.link = link;
        this.loop = loop;
        this.faults = faults;
        this.randomFromGuest = new Random(faults.seed());
        this.randomToGuest = new Random(~faults.seed());
    }

    /** What to give to the link below as its receiver, so that frames from the guest meet faults too. */
    public Receiver receiver(Receiver to) {
        receiver = to;
        return new FromGuest();
    }

    @Override
    public int room() {
        return link.room();
    }

    @Override
    public Frame begin(int capacity) {
        if (capacity < 0 || capacity > Frame.MAX_LENGTH) {
            throw new IllegalArgumentException("a frame of " + capacity + " bytes, the limit is " + Frame.MAX_LENGTH);
        }
        return building.set(unit, 0, capacity);
    }

    @Override
    public void send(Frame frame) {
        int segments = segmenter.begin(frame);
        if (segments == 1 && Segmenter.complete(frame)) {
            MemorySegment.copy(frame.bytes(), frame.offset(), piece, 0, frame.length());
            toGuest(frame.length());
        } else if (segments > 1) {
            for (int i = 0; i < segments; i++) {
                segmenter.next(piece, 0);
                int header = segmenter.headerLength();
                int payload = segmenter.payloadLength();
                MemorySegment.copy(frame.bytes(), segmenter.payloadOffset(), piece, header, payload);
                toGuest(header + payload);
            }
        } else {
            lost++;
        }
    }

    /** Decides the fate of a frame that lies in {@link #piece}. */
    private void toGuest(int length) {
        int copies = copies(length, randomToGuest);
        for (int i = 0; i < copies; i++) {
            long delay = delayMillis(randomToGuest);
            if (delay == 0) {
                passToGuest(piece, length);
            } else {
                MemorySegment copy = copy(length);
                hold(delay, () -> {
                    passToGuest(copy, length);
                    link.flush();
                });
            }
        }
    }

    private void passToGuest(MemorySegment bytes, int length) {
        Frame frame = link.begin(length);
        MemorySegment.copy(bytes, 0, frame.bytes(), frame.offset(), length);
        link.send(frame);
    }

    /** How often the frame in {@link #piece} arrives: 0, 1 or 2 times; it may be damaged on the way. */
    private int copies(int length, Random random) {
        if (random.nextDouble() < faults.loss()) {
            lost++;
            return 0;
        }
        if (length > 0 && random.nextDouble() < faults.corruption()) {
            corrupted++;
            int at = random.nextInt(length);
            byte damaged = (byte) (piece.get(ValueLayout.JAVA_BYTE, at) ^ 1 << random.nextInt(8));
            piece.set(ValueLayout.JAVA_BYTE, at, damaged);
        }
        if (random.nextDouble() < faults.duplication()) {
            duplicated++;
            return 2;
        }
        return 1;
    }

    private long delayMillis(Random random) {
        return random.nextDouble() < faults.reordering()
                ? faults.delayMillis() + 1 + random.nextInt(Faults.REORDER_MILLIS)
                : faults.delayMillis();
    }

    /** A copy of what lies in {@link #piece}, in native memory, which is what system calls take. */
    private MemorySegment copy(int length) {
        return Arena.ofAuto().allocate(length).copyFrom(piece.asSlice(0, length));
    }

    private void hold(long delayMillis, Runnable arrival) {
        if (held == MAX_HELD) {
            lost++;
            return;
        }
        held++;
        delayed++;
        int sentIn = connection;
        loop.schedule(
                () -> {
                    held--;
                    if (sentIn == connection && link.isAttached()) {
                        arrival.run();
                    }
                },
                delayMillis,
                TimeUnit.MILLISECONDS);
    }

    @Override
    public void flush() {
        link.flush();
    }

    @Override
    public boolean isAttached() {
        return link.isAttached();
    }

    @Override
    public LinkCounters counters() {
        return link.counters();
    }

    @Override
    public void close() {
        link.close();
    }

    /** Frames lost on purpose, or because too many were held. */
    public long lost() {
        return lost;
    }

    public long duplicated() {
        return duplicated;
    }

    public long corrupted() {
        return corrupted;
    }

    /** Frames that arrived later than they were sent. */
    public long delayed() {
        return delayed;
    }

    /** The receiver's side. */
    private final class FromGuest implements Receiver {

        @Override
        public void attached() {
            connection++;
            receiver.attached();
        }

        @Override
        public void frame(Frame frame) {
            int length = frame.length();
            MemorySegment.copy(frame.bytes(), frame.offset(), piece, 0, length);
            int copies = copies(length, randomFromGuest);
            if (copies == 0) {
                return;
            }
            boolean verified = frame.checksum() == Frame.ChecksumState.VERIFIED;
            boolean partial = frame.checksum() == Frame.ChecksumState.PARTIAL;
            int start = frame.checksumStart();
            int field = frame.checksumOffset();
            int segmentSize = frame.segmentSize();
            MemorySegment copy = copy(length);
            for (int i = 0; i < copies; i++) {
                Runnable arrival = () -> {
                    arriving.set(copy, 0, length).largeUnit(segmentSize);
                    if (verified) {
                        arriving.checksumVerified();
                    } else if (partial) {
                        arriving.checksumPartial(start, field);
                    }
                    receiver.frame(arriving);
                };
                long delay = delayMillis(randomFromGuest);
                if (delay == 0) {
                    arrival.run();
                } else {
                    hold(delay, () -> {
                        arrival.run();
                        receiver.endOfBatch();
                    });
                }
            }
        }

        @Override
        public void endOfBatch() {
            receiver.endOfBatch();
        }

        @Override
        public void ready() {
            receiver.ready();
        }

        @Override
        public void detached(String reason) {
            connection++;
            receiver.detached(reason);
        }
    }
}
