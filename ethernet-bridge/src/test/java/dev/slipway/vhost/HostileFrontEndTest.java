package dev.slipway.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.ethernet.Transport;
import dev.slipway.vhost.ModelDriver.Piece;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** VM managers that lie, die, or speak in the wrong order: the connection ends, and the next one is served. */
@Timeout(60)
class HostileFrontEndTest {

    private static final long GUEST = FakeFrontEnd.GUEST;
    private static final long USER = FakeFrontEnd.USER;
    private static final int MEMORY = FakeFrontEnd.MEMORY;

    @TempDir
    Path folder;

    private VhostRig rig;
    private FakeFrontEnd guest;

    @BeforeEach
    void start() throws IOException {
        assumeTrue(Transport.NATIVE.isAvailable(), "Linux on x86-64 or aarch64");
        rig = new VhostRig(folder);
        guest = new FakeFrontEnd(rig.path, true);
    }

    @AfterEach
    void nothingIsLeft() throws Exception {
        if (rig != null) {
            guest.close();
            rig.close();
        }
    }

    private interface Deed {
        void by(FakeFrontEnd guest) throws Exception;
    }

    private static Arguments deed(String name, Deed deed) {
        return Arguments.of(name, deed);
    }

    private static Deed table(long... words) {
        int[] none = {};
        return g -> {
            int[] files = new int[(words.length - 1) / 4];
            Arrays.fill(files, g.memoryFile);
            g.request(ControlMessage.SET_MEM_TABLE, words, files.length == 0 ? none : files);
        };
    }

    private static Deed request(int request, long... words) {
        return g -> g.request(request, words);
    }

    private static Deed rings(Deed before) {
        return g -> {
            g.makeDrivers(Features.OFFERED, FakeFrontEnd.RING);
            before.by(g);
        };
    }

    static Stream<Arguments> violations() {
        long one = 1L << 32;
        long[] many = new long[1 + 9 * 4];
        many[0] = 9;
        long[] roomForNine = Arrays.copyOf(new long[] {1, GUEST, MEMORY, USER, 0}, many.length);
        return Stream.of(
                deed("wrong version", g -> g.send(FakeFrontEnd.message(1, 2, 0))),
                deed("a reply", g -> g.send(FakeFrontEnd.message(1, 1 | 4, 0))),
                deed("payload too long", g -> g.send(FakeFrontEnd.message(2, 1, 0x7FFF_FFFF))),
                deed("payload of negative length", g -> g.send(FakeFrontEnd.message(99, 1, -1))),
                deed("payload that is not the request's", g -> g.send(FakeFrontEnd.message(2, 1, 16, 0, 0))),
                deed("payload where there is none", g -> g.send(FakeFrontEnd.message(3, 1, 8, 0))),
                deed("half a header", g -> {
                    g.send(Arrays.copyOf(FakeFrontEnd.message(1, 1, 0), 7));
                    g.hangUp();
                }),
                deed("half a payload", g -> {
                    g.send(Arrays.copyOf(FakeFrontEnd.message(2, 1, 8, 0), 15));
                    g.hangUp();
                }),
                deed("features that were not offered", request(ControlMessage.SET_FEATURES, 1L << 34)),
                deed("protocol features not offered", request(ControlMessage.SET_PROTOCOL_FEATURES, 1L << 12)),
                deed("size of ring 2", request(ControlMessage.SET_VRING_NUM, one * 256 | 2)),
                deed("base of ring 2", request(ControlMessage.SET_VRING_BASE, 2)),
                deed("base of no ring", request(ControlMessage.SET_VRING_BASE, one * 65_536)),
                deed("state of ring 2^32-1", request(ControlMessage.GET_VRING_BASE, 0xFFFF_FFFFL)),
                deed("ring 2 enabled", request(ControlMessage.SET_VRING_ENABLE, one | 2)),
                deed("addresses of ring 7", request(ControlMessage.SET_VRING_ADDR, 7, USER, USER, USER, 0)),
                deed("kick of ring 2", g -> g.request(ControlMessage.SET_VRING_KICK, new long[] {2}, g.kicks[0])),
                deed("call of ring 200", g -> g.request(ControlMessage.SET_VRING_CALL, new long[] {200}, g.calls[0])),
                deed("error of ring 2", g -> g.request(ControlMessage.SET_VRING_ERR, new long[] {2}, g.calls[0])),
                deed("ring of no entries", request(ControlMessage.SET_VRING_NUM, 0)),
                deed("ring of 255 entries", request(ControlMessage.SET_VRING_NUM, one * 255)),
                deed("ring of 65,536 entries", request(ControlMessage.SET_VRING_NUM, one * 65_536)),
                deed("ring not aligned", request(ControlMessage.SET_VRING_ADDR, 0, USER + 8, USER, USER, 0)),
                deed("used ring not aligned", request(ControlMessage.SET_VRING_ADDR, 0, USER, USER + 2, USER, 0)),
                deed("available ring not aligned", request(ControlMessage.SET_VRING_ADDR, 0, USER, USER, USER + 1, 0)),
                deed("no descriptor for a kick", request(ControlMessage.SET_VRING_KICK, 0)),
                deed("ring to be polled", request(ControlMessage.SET_VRING_KICK, 0x100)),
                deed(
                        "kick that is a file",
                        g -> g.request(ControlMessage.SET_VRING_KICK, new long[] {0}, g.memoryFile)),
                deed(
                        "call that is a file",
                        g -> g.request(ControlMessage.SET_VRING_CALL, new long[] {0}, g.memoryFile)),
                deed(
                        "two descriptors for a kick",
                        g -> g.request(ControlMessage.SET_VRING_KICK, new long[] {0}, g.kicks[0], g.kicks[1])),
                deed(
                        "descriptor and none",
                        g -> g.request(ControlMessage.SET_VRING_CALL, new long[] {0x100}, g.kicks[0])),
                deed(
                        "descriptors where there are none",
                        g -> g.request(ControlMessage.SET_FEATURES, new long[] {Features.OFFERED}, g.kicks[0])),
                deed("more descriptors than any message has", g -> {
                    int[] files = new int[40];
                    Arrays.fill(files, g.kicks[0]);
                    g.request(ControlMessage.SET_FEATURES, new long[] {Features.OFFERED}, files);
                }),
                deed("table without a count", g -> g.request(ControlMessage.SET_MEM_TABLE, new long[] {})),
                deed("table of no regions", request(ControlMessage.SET_MEM_TABLE, 0)),
                deed("table of nine regions", g -> g.request(ControlMessage.SET_MEM_TABLE, many)),
                deed("table that is shorter than it says", table(2, GUEST, MEMORY, USER, 0)),
                deed("table with half a region", table(1, GUEST, MEMORY, USER, 0, 0, 0)),
                deed(
                        "table with room for nine regions",
                        g -> g.request(ControlMessage.SET_MEM_TABLE, roomForNine, g.memoryFile)),
                deed("table with too few descriptors", request(ControlMessage.SET_MEM_TABLE, 1, GUEST, 4096, USER, 0)),
                deed("region of no bytes", table(1, GUEST, 0, USER, 0)),
                deed("region larger than its file", table(1, GUEST, MEMORY + 1, USER, 0)),
                deed("region beyond its file", table(1, GUEST, 4096, USER, MEMORY)),
                deed("region whose end wraps", table(1, GUEST, Long.MAX_VALUE, USER, 0)),
                deed("region of 2^64-1 bytes", table(1, GUEST, -1, USER, 0)),
                deed("offset that wraps", table(1, GUEST, 4096, USER, Long.MAX_VALUE)),
                deed("negative offset", table(1, GUEST, 4096, USER, -4096)),
                deed("addresses that wrap", table(1, -4096, 8192, USER, 0)),
                deed("user addresses that wrap", table(1, GUEST, 8192, -4096, 0)),
                deed("regions that overlap", table(2, GUEST, 8192, USER, 0, GUEST + 4096, 8192, USER + 8192, 8192)),
                deed(
                        "regions whose user addresses overlap",
                        table(2, GUEST, 8192, USER, 0, GUEST + 8192, 8192, USER + 4096, 8192)),
                deed(
                        "region that is no file",
                        g -> g.request(ControlMessage.SET_MEM_TABLE, new long[] {1, GUEST, 4096, USER, 0}, g.kicks[0])),
                deed("65 regions", g -> {
                    for (int i = 0; i < 65; i++) {
                        long at = i * 4096L;
                        g.request(
                                ControlMessage.ADD_MEM_REG,
                                new long[] {0, GUEST + at, 4096, USER + at, 0},
                                g.memoryFile);
                    }
                }),
                deed("ring without memory", rings(g -> g.ring(0, g.toGuest, 0))),
                deed("ring beyond a region", rings(g -> {
                    g.memoryTable();
                    g.request(ControlMessage.SET_VRING_NUM, new long[] {FakeFrontEnd.pair(0, 32_768)});
                    long end = USER + FakeFrontEnd.BORDER - 4096;
                    g.request(ControlMessage.SET_VRING_ADDR, new long[] {0, end, end, end, 0});
                    g.request(ControlMessage.SET_VRING_KICK, new long[] {0}, g.kicks[0]);
                })),
                deed("size of a ring that runs", rings(g -> {
                    g.memoryTable();
                    g.ring(0, g.toGuest, 0);
                    g.request(ControlMessage.SET_VRING_NUM, new long[] {FakeFrontEnd.pair(0, 64)});
                })),
                deed("memory without the ring that runs", rings(g -> {
                    g.memoryTable();
                    g.ring(0, g.toGuest, 0);
                    g.request(ControlMessage.SET_MEM_TABLE, new long[] {1, GUEST, 4096, USER, 0}, g.memoryFile);
                })),
                deed("memory removed of the ring that runs", rings(g -> {
                    g.request(ControlMessage.ADD_MEM_REG, new long[] {0, GUEST, MEMORY, USER, 0}, g.memoryFile);
                    g.ring(0, g.toGuest, 0);
                    g.request(ControlMessage.REM_MEM_REG, new long[] {0, GUEST, MEMORY, USER, 0});
                })),
                deed("one who does not read answers", g -> {
                    for (int i = 0; i < 100_000; i++) {
                        try {
                            g.request(ControlMessage.GET_FEATURES, new long[] {});
                        } catch (IOException e) {
                            if (!e.getMessage().contains("EAGAIN")) {
                                return;
                            }
                            Thread.onSpinWait();
                        }
                    }
                }));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("violations")
    void whoBreaksTheProtocolIsLetGoOfAndTheNextOneIsServed(String name, Deed deed) throws Exception {
        guest.negotiate(Features.OFFERED);
        deed.by(guest);
        if (!name.startsWith("half") && !name.startsWith("one who")) {
            guest.awaitEnd();
            assertThat(rig.link.counters().failedHandshakes()).isEqualTo(1);
        }
        guest.close();
        guest = new FakeFrontEnd(rig.path, true);
        guest.start(Features.OFFERED);
        assertThat(rig.receiver.nextEvent()).isEqualTo("attached");
        assertThat(rig.link.isAttached()).isTrue();
    }

    @Test
    void requestThatIsNotKnownIsAnsweredSoIfThatIsWanted() throws Exception {
        guest.negotiate(Features.OFFERED);
        for (int request : new int[] {0, 6, 7, 22, 23, 25, 31, 34, 41, 44, 1_000, -1}) {
            guest.request(request, new long[] {1, 2}, guest.memoryFile);
            assertThat(guest.ask(request, new long[] {1, 2}, guest.memoryFile)).isEqualTo(1);
        }
        assertThat(guest.ask(ControlMessage.NET_SET_MTU, new long[] {1_499})).isEqualTo(1);
        assertThat(guest.ask(ControlMessage.NET_SET_MTU, new long[] {1_500})).isZero();
        assertThat(guest.ask(ControlMessage.SEND_RARP, new long[] {0x5254_0011_2233L}))
                .isZero();
        assertThat(guest.ask(ControlMessage.RESET_OWNER, new long[] {})).isZero();
        assertThat(guest.ask(ControlMessage.GET_QUEUE_NUM, new long[] {})).isEqualTo(1);
        assertThat(guest.ask(ControlMessage.SET_BACKEND_REQ_FD, new long[] {}, guest.fd))
                .isZero();
        assertThat(guest.ask(ControlMessage.SET_BACKEND_REQ_FD, new long[] {}, guest.fd))
                .isZero();
    }

    @Test
    void messageThatComesByteByByteIsOneMessage() throws Exception {
        byte[] message = FakeFrontEnd.message(ControlMessage.SET_OWNER, 1, 0);
        guest.negotiate(Features.OFFERED);
        byte[] table = FakeFrontEnd.message(ControlMessage.SET_MEM_TABLE, 1 | 8, 40, 1, GUEST, MEMORY, USER, 0);
        guest.send(Arrays.copyOf(table, 1), guest.memoryFile);
        for (int i = 1; i < table.length; i++) {
            guest.send(Arrays.copyOfRange(table, i, i + 1));
            rig.settle();
        }
        assertThat(guest.answer(ControlMessage.SET_MEM_TABLE)).isZero();
        guest.send(message);
        guest.makeDrivers(Features.OFFERED, FakeFrontEnd.RING);
        guest.startRings(0, 0);
    }

    @Test
    void vmManagerThatDiesWithFramesUnderWayLeavesNothing() throws Exception {
        for (int i = 0; i < 20; i++) {
            guest.start(Features.OFFERED);
            assertThat(rig.receiver.nextEvent()).isEqualTo("attached");
            guest.toGuest.offer(new Piece[] {new Piece(5 << 20, 2_000)}, true, false);
            guest.fromGuest.offer(new Piece[] {new Piece(6 << 20, 2_000)}, false, true);
            guest.fromGuest.tell();
            guest.toGuest.tell();
            guest.kick(1);
            guest.close();
            rig.send(new byte[60]);
            assertThat(rig.receiver.nextEvent()).startsWith("detached: the VM manager closed the connection");
            guest = new FakeFrontEnd(rig.path, i % 2 == 0);
        }
    }

    @Test
    void memoryThatCanBeSealedCannotBeMadeShorter() throws Exception {
        guest.start(Features.OFFERED);
        assertThat(rig.receiver.nextEvent()).isEqualTo("attached");
        assertThat(LinuxFiles.truncate(guest.memoryFile, 4096)).isEqualTo(-1);
    }

    /** Touching what is gone is a fault, of which the process hears as an error and goes on. */
    @Test
    void memoryThatIsTakenAwayEndsTheConnectionAndNothingElse() throws Exception {
        for (boolean toGuest : new boolean[] {false, true}) {
            guest.close();
            guest = new FakeFrontEnd(rig.path, false);
            guest.start(Features.OFFERED);
            String event = rig.receiver.nextEvent();
            assertThat(event.startsWith("detached") ? rig.receiver.nextEvent() : event)
                    .isEqualTo("attached");
            assertThat(LinuxFiles.truncate(guest.memoryFile, 0)).isZero();
            if (toGuest) {
                rig.send(new byte[60]);
            } else {
                guest.kick(1);
            }
            guest.awaitEnd();
            assertThat(rig.receiver.nextEvent()).contains("memory was taken away");
        }
    }

    /** Any messages in any order, with any descriptors. */
    @Test
    void anyMessagesInAnyOrderHarmTheirOwnConnectionOnly() throws Exception {
        long seed = System.nanoTime();
        System.out.println("vhost-user hostile front-end, seed " + seed);
        Random random = new Random(seed);
        long until = System.nanoTime() + 3_000_000_000L;
        while (System.nanoTime() < until) {
            guest.close();
            guest = new FakeFrontEnd(rig.path, random.nextBoolean());
            guest.makeDrivers(Features.OFFERED, FakeFrontEnd.RING);
            try {
                if (random.nextBoolean()) {
                    guest.start(Features.OFFERED);
                }
                for (int i = 0; i < 40; i++) {
                    anything(random);
                }
            } catch (IOException gone) {
                continue;
            }
        }
        assertThat(rig.link.counters().failures()).isZero();
        guest.close();
        guest = new FakeFrontEnd(rig.path, true);
        guest.start(Features.OFFERED);
        rig.settle();
        assertThat(rig.link.isAttached()).isTrue();
    }

    private void anything(Random random) throws IOException {
        int request = 1 + random.nextInt(45);
        int words = switch (request) {
            case 1, 3, 4, 15, 17, 21, 36 -> 0;
            case 5 -> 5;
            case 9, 37, 38 -> 5;
            default -> 1;
        };
        long[] payload = new long[words];
        for (int i = 0; i < words; i++) {
            payload[i] = switch (random.nextInt(6)) {
                case 0 -> random.nextInt(3);
                case 1 -> FakeFrontEnd.pair(random.nextInt(2), 1 << random.nextInt(10));
                case 2 -> GUEST + random.nextInt(MEMORY);
                case 3 -> USER + random.nextInt(64) * 0x4000L;
                case 4 -> random.nextInt(MEMORY);
                default -> random.nextInt(20) == 0 ? random.nextLong() : 1;
            };
        }
        int[] files = new int[random.nextInt(10) == 0 ? random.nextInt(3) : request == 5 || request == 37 ? 1 : 0];
        if (request >= 12 && request <= 14 || request == 21) {
            files = new int[1];
        }
        for (int i = 0; i < files.length; i++) {
            files[i] = request == 5 || request == 37 ? guest.memoryFile : guest.kicks[random.nextInt(2)];
        }
        guest.send(FakeFrontEnd.message(request, 1, words * 8, payload), files);
        if (random.nextInt(4) == 0) {
            guest.kick(random.nextInt(2));
        }
    }
}
