package dev.slipway.dns;

import dev.slipway.seam.HostStream;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DnsMessage;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * A guest's TCP connection to the name server (RFC 7766), ended in this process: a {@link HostStream} that no host
 * socket stands behind. Each message follows its length in two bytes. Queries may come one behind the other without
 * waiting; answers go back as they come, in any order.
 *
 * <p>Bytes are taken as soon as they are written: they are held here until they are whole queries. While {@link
 * #MAX_OUTSTANDING} queries wait for answers, or {@link #MAX_UNREAD} bytes of answers for the guest, no further query is
 * begun, and {@link #room} shrinks as the guest goes on sending, down to 0.
 *
 * <p>Ends: when the guest has ended its side and all its queries are answered, the answers end; half a query at the end
 * is counted as malformed. A length that no message can have resets the connection and is counted. Time-outs are driven
 * by the owner: it calls {@link #expire} on every such stream about once a second, and the limits below are as exact as
 * those calls are frequent.
 *
 * <p>Events go through the {@code later} hook of the constructor: it must run what it is given on the stack's thread
 * after the current call has returned, in order.
 */
public final class DnsStream implements HostStream {

    /** Queries of one connection that wait for an answer. */
    public static final int MAX_OUTSTANDING = 16;

    /** Bytes of answers that the guest has not acknowledged, beyond which no query is begun. */
    public static final int MAX_UNREAD = 65_536;

    /** How long a connection without a query may stay open before it is ended in order. */
    public static final int IDLE_SECONDS = 30;

    /** How long half a query may wait for the rest, or answers for a guest that takes none, before a reset. */
    public static final int STALLED_SECONDS = 15;

    private static final int PREFIX = 2;
    /** Room for the longest message. */
    private static final int MAX_INPUT = PREFIX + DnsMessage.MAX_LENGTH;

    private static final int FIRST_BUFFER = 512;

    private final NameServer server;
    private final Listener listener;
    private final Consumer<Runnable> later;

    private byte[] input = new byte[FIRST_BUFFER];
    private int inputLength;
    private long written;
    private boolean inputEnded;

    private byte[] output = new byte[FIRST_BUFFER];
    private int outputLength;
    private long discarded;
    private boolean outputEnded;

    private int outstanding;
    private boolean processing;
    private boolean closed;
    private boolean abandoned;
    private boolean readablePosted;
    private boolean writablePosted;

    private boolean active = true;
    private long quietSince;

    /**
     * Accepts a connection; the listener hears so later.
     *
     * @param later runs a task on the same thread after the current call
     */
    public DnsStream(NameServer server, Listener listener, Consumer<Runnable> later) {
        this.server = server;
        this.listener = listener;
        this.later = later;
        post(listener::connected);
    }

    @Override
    public int room() {
        return closed || inputEnded ? 0 : MAX_INPUT - inputLength;
    }

    @Override
    public void write(MemorySegment source, long offset, int length) {
        if (closed) {
            return;
        }
        if (length > MAX_INPUT - inputLength || inputEnded) {
            throw new IllegalStateException(length + " bytes written, there is room for " + room());
        }
        if (inputLength + length > input.length) {
            input = Arrays.copyOf(input, grown(input.length, inputLength + length));
        }
        MemorySegment.copy(source, ValueLayout.JAVA_BYTE, offset, input, inputLength, length);
        inputLength += length;
        written += length;
        active = true;
    }

    @Override
    public void flush() {
        process();
        postWritable();
    }

    @Override
    public long taken() {
        return written;
    }

    @Override
    public void shutdownOutput() {
        if (!inputEnded && !closed) {
            inputEnded = true;
            active = true;
            process();
            postWritable();
        }
    }

    @Override
    public boolean isOutputShutdown() {
        return inputEnded;
    }

    @Override
    public int peek(long position, MemorySegment target, long offset, int length) {
        if (closed) {
            return 0;
        }
        long from = position - discarded;
        if (from < 0 || from > outputLength) {
            throw new IllegalArgumentException("position " + position + " of an output that has bytes " + discarded
                    + " to " + (discarded + outputLength));
        }
        int count = (int) Math.min(length, outputLength - from);
        if (count == 0) {
            return outputEnded && from == outputLength ? END : 0;
        }
        MemorySegment.copy(output, (int) from, target, ValueLayout.JAVA_BYTE, offset, count);
        return count;
    }

    @Override
    public void discard(long position) {
        int count = (int) (position - discarded);
        if (closed || count <= 0) {
            return;
        }
        if (count > outputLength) {
            throw new IllegalArgumentException(
                    "position " + position + " lies behind the output's end, " + (discarded + outputLength));
        }
        System.arraycopy(output, count, output, 0, outputLength - count);
        outputLength -= count;
        output = outputLength == 0 ? shrunk(output) : output;
        discarded = position;
        active = true;
        process();
    }

    @Override
    public void reset() {
        abandoned = true;
        release();
    }

    @Override
    public void close() {
        abandoned = true;
        release();
    }

    /**
     * Ends the connection if nothing has happened on it for too long. To be called about once a second.
     *
     * @param now nanoseconds on any clock that only goes forward
     */
    public void expire(long now) {
        if (active || outstanding > 0) {
            active = false;
            quietSince = now;
            return;
        }
        if (closed || inputEnded && outputEnded) {
            return; // what is left to be delivered is the business of TCP and its timers
        }
        boolean stalled = outputLength > 0 || inputLength > 0;
        if (now - quietSince < TimeUnit.SECONDS.toNanos(stalled ? STALLED_SECONDS : IDLE_SECONDS)) {
            return;
        }
        if (stalled) {
            server.countBrokenStream();
            fail();
        } else if (outputEnded) {
            fail(); // the guest was told that this side has ended, and keeps its own open
        } else {
            outputEnded = true;
            active = true;
            postReadable();
        }
    }

    /** Whether the connection is gone: nothing more will happen on it. */
    public boolean isClosed() {
        return closed;
    }

    /** Begins as many of the queries that are whole as may be begun. */
    private void process() {
        if (processing || closed) {
            return; // an internal name is answered from within query()
        }
        processing = true;
        MemorySegment bytes = MemorySegment.ofArray(input);
        int at = outputEnded ? inputLength : 0; // after an idle connection was ended, what still comes is too late
        while (outstanding < MAX_OUTSTANDING && outputLength < MAX_UNREAD && isWhole(at)) {
            int length = BigEndian.u16(bytes, at);
            outstanding++;
            if (length < DnsMessage.HEADER_LENGTH) {
                server.countBrokenStream();
                fail();
                return;
            }
            if (!server.query(bytes, at + PREFIX, length, true, this::answered)) {
                fail(); // a guest that sends answers; the server has counted it
                return;
            }
            at += PREFIX + length;
        }
        processing = false;
        consume(at);
        if (inputEnded && !outputEnded && outstanding == 0 && !isWhole(0)) {
            if (inputLength > 0) {
                server.countBrokenStream();
                consume(inputLength);
            }
            outputEnded = true;
            postReadable();
        }
    }

    /** Whether a whole message stands there, or a length that none can have. */
    private boolean isWhole(int at) {
        if (at + PREFIX > inputLength) {
            return false;
        }
        int length = (input[at] & 0xFF) << 8 | input[at + 1] & 0xFF;
        return length < DnsMessage.HEADER_LENGTH || at + PREFIX + length <= inputLength;
    }

    private void consume(int count) {
        if (count > 0) {
            System.arraycopy(input, count, input, 0, inputLength - count);
            inputLength -= count;
            input = inputLength == 0 ? shrunk(input) : input;
            postWritable();
        }
    }

    private void answered(byte[] response) {
        outstanding--;
        if (closed) {
            return;
        }
        int length = PREFIX + response.length;
        if (outputLength + length > output.length) {
            output = Arrays.copyOf(output, grown(output.length, outputLength + length));
        }
        BigEndian.putU16(MemorySegment.ofArray(output), outputLength, response.length);
        System.arraycopy(response, 0, output, outputLength + PREFIX, response.length);
        outputLength += length;
        active = true;
        postReadable();
        process();
    }

    private static int grown(int capacity, int needed) {
        return Math.max(needed, capacity * 2);
    }

    private static byte[] shrunk(byte[] empty) {
        return empty.length > 8 * FIRST_BUFFER ? new byte[FIRST_BUFFER] : empty;
    }

    /** Gives the connection up from this side. */
    private void fail() {
        if (!closed) {
            release();
            post(listener::reset);
        }
    }

    private void release() {
        closed = true;
        input = new byte[0];
        output = new byte[0];
        inputLength = 0;
        outputLength = 0;
    }

    private void postReadable() {
        if (!readablePosted) {
            readablePosted = true;
            post(() -> {
                readablePosted = false;
                listener.readable();
            });
        }
    }

    private void postWritable() {
        if (!writablePosted) {
            writablePosted = true;
            post(() -> {
                writablePosted = false;
                listener.writable();
            });
        }
    }

    /** Delivers an event later, unless the owner has let go by then. */
    private void post(Runnable event) {
        later.accept(() -> {
            if (!abandoned) {
                event.run();
            }
        });
    }
}
