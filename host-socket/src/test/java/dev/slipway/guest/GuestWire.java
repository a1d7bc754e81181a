package dev.slipway.guest;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;

/**
 * The VM manager's end of each kind of channel, written from what each is on the wire. To its user it is a stream in
 * QEMU's framing; what goes to the backend is the channel's own.
 */
final class GuestWire {

    private static final int MAX_FRAME = 0xFFFF;
    private static final int PREFIX = 4;

    private GuestWire() {}

    /** QEMU's framing on a Unix socket. */
    static ByteChannel qemu(Path socket) throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        channel.connect(UnixDomainSocketAddress.of(socket));
        return channel;
    }

    /** QEMU's framing on TCP; to be called on the backend's machine. */
    static ByteChannel qemuTcp(int port) throws IOException {
        return SocketChannel.open(new InetSocketAddress("127.0.0.1", port));
    }

    /** VPNKit's protocol, or HyperKit's with gvproxy, by the same handshake. */
    static Vpnkit vpnkit(Path socket, String uuid) throws IOException {
        return new Vpnkit((SocketChannel) qemu(socket), uuid);
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

        private Vpnkit(SocketChannel socket, String uuid) throws IOException {
            super(socket);
            ByteBuffer init = ByteBuffer.allocate(49).order(ByteOrder.LITTLE_ENDIAN);
            init.put("VMN3T".getBytes(StandardCharsets.US_ASCII)).putInt(22).clear();
            socket.write(init);
            ByteBuffer answer = readFully(socket, 49);
            if (!answer.equals(init.clear()) && answer.getInt(5) != 22) {
                throw new IOException("the backend speaks another version");
            }
            socket.write(ByteBuffer.allocate(41)
                    .put((byte) 1)
                    .put(uuid.getBytes(StandardCharsets.US_ASCII))
                    .clear());
            ByteBuffer vif = readFully(socket, 258);
            if (vif.get(0) != 1) {
                throw new IOException("the backend refuses");
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
