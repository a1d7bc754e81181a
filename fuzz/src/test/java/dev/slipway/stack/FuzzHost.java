package dev.slipway.stack;

import dev.slipway.fuzz.Input;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.IcmpError;
import dev.slipway.testing.TestHost;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A host whose sockets do what the input says, and which holds the stack to its side of the seam: nothing is used after its
 * end, nothing is written beyond what was promised or out of order, nothing is asked for that was let go of.
 *
 * <p>A byte of the guest's is the low eight bits of its sequence number, so that a byte which is lost, doubled or moved
 * shows; a byte of the host's is computed from its position.
 */
final class FuzzHost extends TestHost<FuzzHost.Stream, FuzzHost.Datagrams, FuzzHost.Echo> {

    static final int MAX_SOCKETS = 200;

    int room = 20_000;

    static byte ofHost(long position) {
        return (byte) (position * 167 + (position >>> 8));
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** A connection of somebody on the host, to a port of the guest. */
    Stream accept(HostStream.Listener listener) {
        Stream stream = new Stream(listener, room, false);
        streams.add(stream);
        return stream;
    }

    @Override
    protected Stream stream(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
        return new Stream(listener, room, true);
    }

    @Override
    protected Datagrams datagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
        check(preferredPort >= 0 && preferredPort <= 65_535, "port " + preferredPort);
        return new Datagrams(ipv6, listener);
    }

    @Override
    protected Echo echo(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
        return new Echo(ipv6, listener);
    }

    /** Sockets that nobody has closed. */
    long open() {
        return streams.stream().filter(stream -> !stream.ended).count()
                + datagrams.stream().filter(socket -> !socket.closed).count()
                + echoes.stream().filter(socket -> !socket.closed).count();
    }

    /** Something happens on the host, if there is a socket that it can happen to. */
    void event(Input input) {
        switch (input.u8() % 3) {
            case 0 -> {
                if (!streams.isEmpty()) {
                    streams.get(input.u8() % streams.size()).event(input);
                }
            }
            case 1 -> {
                if (!datagrams.isEmpty()) {
                    datagrams.get(input.u8() % datagrams.size()).event(input);
                }
            }
            default -> {
                if (!echoes.isEmpty()) {
                    echoes.get(input.u8() % echoes.size()).event(input);
                }
            }
        }
    }

    private static IpAddress peer(boolean ipv6, Input input) {
        return ipv6
                ? new IpAddress(0x2001_0DB8_0000_0000L, input.u8() & 3)
                : IpAddress.ofV4(0xCB00_7100 | input.u8() & 3);
    }

    private static IcmpError error(boolean ipv6, Input input) {
        return new IcmpError(peer(ipv6, input), input.u8(), input.u8(), input.u16());
    }

    final class Stream implements HostStream {
        private final Listener listener;
        private final int capacity;
        private boolean connecting;
        private boolean ended;
        private boolean shutdown;
        private boolean end;
        private long produced;
        private long discarded;
        private long written;
        private long taken;
        private long promised;
        private int nextByte = -1;

        Stream(Listener listener, int capacity, boolean connecting) {
            this.listener = listener;
            this.capacity = capacity;
            this.connecting = connecting;
        }

        void connect() {
            connecting = false;
            listener.connected();
        }

        void event(Input input) {
            int kind = input.u8();
            if (ended) {
                return;
            }
            if (connecting) {
                connecting = false;
                switch (kind % 8) {
                    case 0 -> {
                        ended = true;
                        listener.failed(ConnectFailure.values()[kind / 8 % ConnectFailure.values().length]);
                    }
                    case 1 -> {
                        ended = true;
                        listener.failed(error(kind / 8 % 2 == 0, input));
                    }
                    default -> listener.connected();
                }
                return;
            }
            switch (kind % 6) {
                case 0, 1 -> {
                    if (!end) {
                        produced += 1 + input.u16() * (kind / 6 % 3);
                        listener.readable();
                    }
                }
                case 2 -> {
                    end = true;
                    listener.readable();
                }
                case 3 -> {
                    taken = written;
                    listener.writable();
                }
                case 4 -> {
                    taken = Math.min(written, taken + input.u8());
                    listener.writable();
                }
                default -> {
                    ended = true;
                    listener.reset();
                }
            }
        }

        private void open(String what) {
            check(!ended, what + " after the end");
        }

        @Override
        public int room() {
            open("room");
            int left = (int) Math.max(0, capacity - (written - taken));
            promised = Math.max(promised, written + left);
            return (int) (promised - written);
        }

        @Override
        public void write(MemorySegment source, long offset, int length) {
            open("write");
            check(!shutdown, "payload behind the end");
            check(length >= 0 && written + length <= promised, "payload beyond the room that was promised");
            for (int i = 0; i < length; i++) {
                int b = source.get(ValueLayout.JAVA_BYTE, offset + i) & 0xFF;
                check(nextByte < 0 || b == nextByte, "byte " + (written + i) + " is " + b + ", not " + nextByte);
                nextByte = b + 1 & 0xFF;
            }
            written += length;
        }

        @Override
        public void flush() {
            open("flush");
        }

        @Override
        public long taken() {
            open("taken");
            return taken;
        }

        @Override
        public void shutdownOutput() {
            open("shutdown");
            shutdown = true;
        }

        @Override
        public boolean isOutputShutdown() {
            return shutdown && taken == written;
        }

        @Override
        public int peek(long position, MemorySegment target, long offset, int length) {
            open("peek");
            check(position >= discarded, "peek at " + position + ", discarded up to " + discarded);
            check(length >= 0, "peek of " + length);
            int count = (int) Math.min(length, produced - position);
            if (count <= 0) {
                return end && position >= produced ? END : 0;
            }
            for (int i = 0; i < count; i++) {
                target.set(ValueLayout.JAVA_BYTE, offset + i, ofHost(position + i));
            }
            return count;
        }

        @Override
        public void discard(long position) {
            open("discard");
            check(position >= discarded && position <= produced, "discard up to " + position + " of " + produced);
            discarded = position;
        }

        @Override
        public void reset() {
            open("reset");
            ended = true;
        }

        @Override
        public void close() {
            open("close");
            ended = true;
        }
    }

    final class Datagrams implements HostDatagrams {
        private final boolean ipv6;
        private final Listener listener;
        private boolean closed;

        Datagrams(boolean ipv6, Listener listener) {
            this.ipv6 = ipv6;
            this.listener = listener;
        }

        void event(Input input) {
            int kind = input.u8();
            if (closed) {
                return;
            }
            IpAddress peer = peer(ipv6, input);
            if (kind % 4 == 0) {
                byte[] quoted = input.block();
                listener.failed(peer, input.u16(), error(ipv6, input), MemorySegment.ofArray(quoted), 0, quoted.length);
            } else {
                byte[] payload = new byte[kind % 4 == 1 ? input.u8() : Math.min(65_507, input.u16())];
                listener.received(peer, input.u16(), MemorySegment.ofArray(payload), 0, payload.length);
            }
        }

        @Override
        public Verdict send(
                IpAddress destination,
                int port,
                int hopLimit,
                boolean dontFragment,
                MemorySegment source,
                long offset,
                int length) {
            check(!closed, "sent after the end");
            check(destination.isV4() != ipv6, "a destination of the other family");
            check(port > 0 && port <= 65_535 && hopLimit >= 1 && hopLimit <= 255, port + ", " + hopLimit + " hops");
            check(length >= 0 && source.asSlice(offset, length).byteSize() == length, "a datagram of " + length);
            return verdict;
        }

        @Override
        public int pathMtu() {
            return room & 0xFFFF;
        }

        @Override
        public void flush() {
            check(!closed, "flushed after the end");
        }

        @Override
        public void close() {
            check(!closed, "closed twice");
            closed = true;
        }
    }

    final class Echo implements HostEcho {
        private final boolean ipv6;
        private final Listener listener;
        private byte[] last = {8, 0, 0, 0, 0, 0, 0, 0};
        private boolean closed;

        Echo(boolean ipv6, Listener listener) {
            this.ipv6 = ipv6;
            this.listener = listener;
        }

        void event(Input input) {
            int kind = input.u8();
            if (closed) {
                return;
            }
            byte[] message = kind % 4 == 0 ? input.block() : last.clone();
            if (kind % 2 == 0) {
                listener.failed(
                        peer(ipv6, input), error(ipv6, input), MemorySegment.ofArray(message), 0, message.length);
            } else if (message.length >= 8) {
                listener.replied(peer(ipv6, input), input.u8(), MemorySegment.ofArray(message), 0, message.length);
            }
        }

        @Override
        public HostDatagrams.Verdict send(
                IpAddress destination,
                int hopLimit,
                boolean dontFragment,
                MemorySegment message,
                long offset,
                int length) {
            check(!closed && destination.isV4() != ipv6, "sent after the end, or to the other family");
            check(hopLimit >= 1 && hopLimit <= 255 && length >= 8, hopLimit + " hops, " + length + " bytes");
            last = message.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
            return verdict;
        }

        @Override
        public int pathMtu() {
            return room & 0xFFFF;
        }

        @Override
        public void close() {
            check(!closed, "closed twice");
            closed = true;
        }
    }
}
