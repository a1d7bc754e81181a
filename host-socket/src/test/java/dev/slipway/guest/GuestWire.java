package dev.slipway.guest;

import dev.slipway.posix.Errno;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SocketChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;

/**
 * The VM manager's end of each kind of channel, written from what each is on the wire. To its user it is a stream in
 * QEMU's framing; what goes to the backend is the channel's own.
 */
final class GuestWire {

    /** Bytes of the longest frame, and of a header in front of it if the wire has one. */
    static final int MAX_FRAME = 68 << 10;

    private static final int PREFIX = 4;
    /** A frame of a protocol that no guest of ours needs. */
    private static final byte[] LLDP = HexFormat.of().parseHex("0180c200000e52540012345688cc" + "00".repeat(46));

    private GuestWire() {}

    /** QEMU's framing on a Unix socket. */
    static ByteChannel qemu(Path socket) throws IOException {
        return SocketChannel.open(UnixDomainSocketAddress.of(socket));
    }

    /** QEMU's framing on TCP; to be called on the backend's machine. */
    static ByteChannel qemuTcp(int port) throws IOException {
        return SocketChannel.open(new InetSocketAddress("127.0.0.1", port));
    }

    /** VPNKit's protocol, or HyperKit's with gvproxy, by the same handshake. */
    static Vpnkit vpnkit(Path socket, String uuid) throws IOException {
        return vpnkit(socket, uuid, null);
    }

    /** The same, asking for an address in figures. */
    static Vpnkit vpnkit(Path socket, String uuid, String preferred) throws IOException {
        return new Vpnkit((SocketChannel) qemu(socket), uuid, preferred);
    }

    /**
     * A connection of the API that asks for {@code /connect}, as gvforwarder does; with the request comes a frame that
     * nobody takes.
     */
    static ByteChannel connect(Path api) throws IOException {
        SocketChannel channel = (SocketChannel) qemu(api);
        byte[] request =
                "POST /connect HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 0\r\n\r\n"
                        .getBytes(StandardCharsets.US_ASCII);
        ByteBuffer both = ByteBuffer.allocate(request.length + 2 + LLDP.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(request)
                .putShort((short) LLDP.length)
                .put(LLDP)
                .flip();
        while (both.hasRemaining()) {
            channel.write(both);
        }
        return new ShortLengths(channel);
    }

    /** Datagrams from a name of its own to the backend's, as QEMU sends them. */
    static ByteChannel datagrams(Path own, Path backend) throws IOException {
        return new Packets(Sockets.SOCK_DGRAM, own, backend, false);
    }

    /** Datagrams on a socket that is connected to the backend's, as vfkit sends them. */
    static ByteChannel vfkit(Path own, Path backend) throws IOException {
        return new Packets(Sockets.SOCK_DGRAM, own, backend, true);
    }

    /** The same after a greeting, as an old vfkit sends it. */
    static ByteChannel greetingVfkit(Path own, Path backend) throws IOException {
        Packets wire = new Packets(Sockets.SOCK_DGRAM, own, backend, true);
        wire.sendOne("VFKT".getBytes(StandardCharsets.US_ASCII));
        return wire;
    }

    /** Packets on a connection, as BESS and User Mode Linux have them. */
    static ByteChannel bess(Path backend) throws IOException {
        return new Packets(Sockets.SOCK_SEQPACKET, null, backend, true);
    }

    /** The same on a connection that is there. */
    static ByteChannel packets(int fd) throws IOException {
        return new Packets(fd, null);
    }

    /** A packet for each frame. */
    private static final class Packets implements ByteChannel {

        private static final int POLL_MILLIS = 50;

        private final Sockets sockets = new Sockets();
        private final Sockets readingSockets = new Sockets();
        private final Object reading = new Object();
        private final Object writing = new Object();
        private final MemorySegment out = Arena.ofAuto().allocate(MAX_FRAME);
        private final MemorySegment in = Arena.ofAuto().allocate(MAX_FRAME);
        private final MemorySegment pollOut = Arena.ofAuto().allocate(8, 4);
        private final MemorySegment pollIn = Arena.ofAuto().allocate(8, 4);
        private final SocketAddress destination = new SocketAddress();
        private final Path own;
        private final int fd;
        private volatile boolean closed;

        Packets(int fd, Path own) throws IOException {
            check(fd);
            this.fd = fd;
            this.own = own;
        }

        Packets(int type, Path own, Path backend, boolean connect) throws IOException {
            this(new Sockets().open(Sockets.AF_UNIX, type), own);
            if (own != null) {
                Files.deleteIfExists(own);
                check(sockets.bind(fd, new SocketAddress().set(own)));
            }
            destination.set(backend);
            if (connect) {
                check(sockets.connect(fd, destination));
                destination.clear();
            }
        }

        private static void check(int result) throws IOException {
            if (result < 0) {
                throw new IOException(Errno.name(-result));
            }
        }

        void sendOne(byte[] packet) throws IOException {
            write(ByteBuffer.allocate(PREFIX + packet.length)
                    .putInt(packet.length)
                    .put(packet)
                    .flip());
        }

        @Override
        public int write(ByteBuffer frames) throws IOException {
            int length = frames.remaining();
            synchronized (writing) {
                while (frames.hasRemaining()) {
                    int frame = frames.getInt();
                    MemorySegment.copy(MemorySegment.ofBuffer(frames), 0, out, 0, frame);
                    frames.position(frames.position() + frame);
                    send(frame);
                }
            }
            return length;
        }

        private void send(int length) throws IOException {
            while (!closed) {
                int sent = sockets.send(fd, out, 0, length, destination);
                if (sent == -Errno.EAGAIN) {
                    LinuxCalls.awaitWritable(fd, pollOut, POLL_MILLIS);
                } else if (sent == -Errno.EPERM) {
                    // Not taken for the guest yet, after coming back: lost, as a VM manager would lose it.
                    return;
                } else {
                    check(sent);
                    return;
                }
            }
            throw new ClosedChannelException();
        }

        @Override
        public int read(ByteBuffer target) {
            synchronized (reading) {
                while (!closed) {
                    if (!LinuxCalls.awaitReadable(fd, pollIn, POLL_MILLIS)) {
                        continue;
                    }
                    int before = target.position();
                    while (!closed && target.remaining() >= PREFIX + MAX_FRAME) {
                        int length = readingSockets.read(fd, in, 0, MAX_FRAME);
                        if (length <= 0) {
                            break;
                        }
                        target.putInt(length).put(in.asSlice(0, length).asByteBuffer());
                    }
                    if (target.position() > before) {
                        return target.position() - before;
                    }
                }
                return -1;
            }
        }

        @Override
        public boolean isOpen() {
            return !closed;
        }

        @Override
        public void close() throws IOException {
            closed = true;
            synchronized (reading) {
                synchronized (writing) {
                    sockets.close(fd);
                }
            }
            if (own != null) {
                Files.deleteIfExists(own);
            }
        }
    }

    /** The standard input and output of a process. */
    static ByteChannel streams(Process process) {
        return new ByteChannel() {
            private final ReadableByteChannel from = Channels.newChannel(process.getInputStream());
            private final WritableByteChannel to = Channels.newChannel(process.getOutputStream());

            @Override
            public int read(ByteBuffer target) throws IOException {
                return from.read(target);
            }

            @Override
            public int write(ByteBuffer source) throws IOException {
                int written = to.write(source);
                process.getOutputStream().flush();
                return written;
            }

            @Override
            public boolean isOpen() {
                return to.isOpen();
            }

            /** Ends the process' input; its output ends by itself. */
            @Override
            public void close() throws IOException {
                to.close();
            }
        };
    }

    /** Frames behind two bytes of length, the lower one first, as gvproxy has them on its other streams. */
    static ByteChannel shortLengths(ByteChannel stream) {
        return new ShortLengths(stream);
    }

    /** A stream with lengths of two bytes to a user who has four. */
    private static class ShortLengths implements ByteChannel {

        private final ByteChannel stream;
        private final ByteBuffer received =
                ByteBuffer.allocate(512 << 10).order(ByteOrder.LITTLE_ENDIAN).limit(0);
        private final ByteBuffer sending = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);

        ShortLengths(ByteChannel stream) {
            this.stream = stream;
        }

        @Override
        public int write(ByteBuffer frames) throws IOException {
            int length = frames.remaining();
            sending.clear();
            while (frames.hasRemaining()) {
                int frame = frames.getInt();
                sending.putShort((short) frame);
                sending.put(frames.slice(frames.position(), frame));
                frames.position(frames.position() + frame);
            }
            sending.flip();
            while (sending.hasRemaining()) {
                stream.write(sending);
            }
            return length;
        }

        @Override
        public int read(ByteBuffer target) throws IOException {
            int before = target.position();
            while (true) {
                while (received.remaining() >= 2) {
                    int frame = Short.toUnsignedInt(received.getShort(received.position()));
                    if (received.remaining() < 2 + frame || target.remaining() < PREFIX + frame) {
                        break;
                    }
                    target.putInt(frame).put(received.slice(received.position() + 2, frame));
                    received.position(received.position() + 2 + frame);
                }
                if (target.position() > before) {
                    return target.position() - before;
                }
                received.compact();
                int read = stream.read(received);
                received.flip();
                if (read < 0) {
                    return -1;
                }
            }
        }

        @Override
        public boolean isOpen() {
            return stream.isOpen();
        }

        @Override
        public void close() throws IOException {
            stream.close();
        }
    }

    /** The same after VPNKit's handshake, which tells the guest's MAC address. */
    static final class Vpnkit extends ShortLengths {

        private final String mac;
        private final int mtu;

        private Vpnkit(SocketChannel socket, String uuid, String preferred) throws IOException {
            super(socket);
            ByteBuffer init = ByteBuffer.allocate(49).order(ByteOrder.LITTLE_ENDIAN);
            init.put("VMN3T".getBytes(StandardCharsets.US_ASCII)).putInt(22).clear();
            socket.write(init);
            ByteBuffer answer = readFully(socket, 49);
            if (!answer.equals(init.clear()) && answer.getInt(5) != 22) {
                throw new IOException("the backend speaks another version");
            }
            ByteBuffer command = ByteBuffer.allocate(41)
                    .put((byte) (preferred == null ? 1 : 8))
                    .put(uuid.getBytes(StandardCharsets.US_ASCII));
            if (preferred != null) {
                command.order(ByteOrder.LITTLE_ENDIAN).putInt(IpAddress.parseV4(preferred));
            }
            socket.write(command.clear());
            ByteBuffer vif = readFully(socket, 258);
            if (vif.get(0) != 1) {
                throw new IOException("the backend refuses: "
                        + StandardCharsets.US_ASCII.decode(vif.slice(2, Byte.toUnsignedInt(vif.get(1)))));
            }
            mtu = vif.getShort(1);
            byte[] bytes = new byte[6];
            vif.get(5, bytes);
            mac = HexFormat.ofDelimiter(":").formatHex(bytes);
        }

        private static ByteBuffer readFully(SocketChannel socket, int length) throws IOException {
            ByteBuffer bytes = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
            while (bytes.hasRemaining()) {
                if (socket.read(bytes) < 0) {
                    throw new IOException("the backend hung up after " + bytes.position() + " of " + length + " bytes");
                }
            }
            return bytes.clear();
        }

        String mac() {
            return mac;
        }

        int mtu() {
            return mtu;
        }
    }
}
