package dev.slipway.ethernet;

import dev.slipway.fuzz.Input;
import dev.slipway.posix.Sockets;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Datagrams of QEMU and vfkit and packets of BESS over real sockets, with and without vfkit's greeting, from guests that
 * come one after the other. Every packet that is none is a frame, as it was and in order.
 */
public final class PacketsFuzz {

    private static final int MTU = 1_500;
    private static final int MAX_PACKETS = 40;
    private static final byte[] GREETING = "VFKT".getBytes(StandardCharsets.US_ASCII);

    private static EventLoop loop;
    private static Path folder;
    private static int runs;

    private final Input input;
    private final RecordingReceiver receiver = new RecordingReceiver();
    private final List<byte[]> expected = new ArrayList<>();

    private PacketsFuzz(Input input) {
        this.input = input;
    }

    private static synchronized void prepare() throws IOException {
        if (loop == null) {
            Sockets.prepare();
            loop = new MultiThreadIoEventLoopGroup(1, Transport.NATIVE.ioHandlerFactory()).next();
            folder = Files.createTempDirectory("slipway-fuzz");
        }
    }

    public static void fuzzerTestOneInput(byte[] data) throws Exception {
        prepare();
        new PacketsFuzz(new Input(data)).run();
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private void run() throws Exception {
        PacketLink.Kind kind = PacketLink.Kind.values()[input.u8() % PacketLink.Kind.values().length];
        Path path = folder.resolve("vm" + runs++);
        PacketLink link = new PacketLink(loop, kind, MTU);
        link.listen(path, receiver);
        try {
            // That a socket of datagrams is gone is noticed only after a while.
            int guests = kind == PacketLink.Kind.CONNECTIONS ? 1 + input.u8() % 3 : 1;
            for (int i = 0; i < guests; i++) {
                talk(kind, path, i);
            }
            check(link.counters().failures() == 0, "a defect");
        } finally {
            link.close();
            settle();
        }
        check(expected.size() == receiver.frames.size(), receiver.frames.size() + " frames, not " + expected.size());
        for (byte[] packet : expected) {
            check(Arrays.equals(packet, receiver.frames.remove()), "a frame is another than its packet");
        }
    }

    private void talk(PacketLink.Kind kind, Path path, int number) throws Exception {
        boolean connects = kind == PacketLink.Kind.CONNECTIONS;
        Path own = folder.resolve("guest" + runs + "." + number);
        try (FakePacketGuest guest =
                connects ? FakePacketGuest.connection(path) : FakePacketGuest.datagrams(own, path)) {
            boolean first = true;
            int packets = input.u8() % MAX_PACKETS;
            for (int i = 0; i < packets && input.hasMore(); i++) {
                byte[] packet = packet();
                if (connects && packet.length == 0) {
                    continue;
                }
                guest.send(packet);
                boolean greets = packet.length >= 4 && Arrays.equals(GREETING, Arrays.copyOf(packet, 4));
                boolean isGreeting =
                        kind == PacketLink.Kind.GREETED_DATAGRAMS && greets && (packet.length < 14 || first);
                if (!isGreeting && packet.length <= 1 << 16) {
                    expected.add(packet);
                    first = false;
                }
            }
            arrive();
        }
        settle();
        if (connects) {
            awaitEnd();
        }
    }

    private byte[] packet() {
        int shape = input.u8();
        return switch (shape % 5) {
            case 0 -> input.block();
            case 1 -> GREETING;
            case 2 -> {
                byte[] greeting = Arrays.copyOf(GREETING, 4 + input.u8());
                yield Arrays.copyOf(greeting, greeting.length);
            }
            case 3 -> new byte[input.u16() + (shape >= 250 ? 40_000 : 0)];
            default -> new byte[input.u8()];
        };
    }

    private void arrive() throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
        while (receiver.frames.size() < expected.size() && System.nanoTime() < until) {
            settle();
        }
    }

    /** The next guest is one only when this one's end was noticed. */
    private void awaitEnd() throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
        while (receiver.events.stream().filter("attached"::equals).count()
                        > receiver.events.stream()
                                .filter(event -> event.startsWith("detached"))
                                .count()
                && System.nanoTime() < until) {
            settle();
        }
    }

    private static void settle() throws Exception {
        loop.submit(() -> {}).get(20, TimeUnit.SECONDS);
    }
}
