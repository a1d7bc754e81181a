package dev.slipway.tcp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.wire.IpAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** RFC 6528. */
class InitialSequenceTest {

    private static byte[] key() {
        byte[] key = new byte[16];
        for (int i = 0; i < 16; i++) {
            key[i] = (byte) i;
        }
        return key;
    }

    /** The vector of the paper's appendix A: proves the oracle below. */
    @Test
    void theOracleIsSipHash() {
        byte[] message = new byte[15];
        for (int i = 0; i < 15; i++) {
            message[i] = (byte) i;
        }
        assertThat(sipHash24(key(), message)).isEqualTo(0xa129ca6149be45e5L);
    }

    @Test
    void theHashIsSipHashOfAddressesAndPorts() {
        InitialSequence sequence = new InitialSequence(key());
        java.util.Random random = new java.util.Random(1);
        for (int i = 0; i < 1_000; i++) {
            int guest = random.nextInt();
            int remote = random.nextInt();
            int guestPort = random.nextInt(65_536);
            int remotePort = random.nextInt(65_536);
            ByteBuffer message = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
            message.putInt(remote)
                    .putInt(guest)
                    .putInt(guestPort << 16 | remotePort)
                    .putInt(0);
            assertThat(sequence.next(guest, guestPort, remote, remotePort, 0))
                    .as("(%d) message %s", i, message)
                    .isEqualTo((int) sipHash24(key(), message.array()));
        }
    }

    @Test
    void theClockTicksInFourMicroseconds() {
        InitialSequence sequence = new InitialSequence(key());
        int first = sequence.next(1, 2, 3, 4, 1_000_000);
        assertThat(sequence.next(1, 2, 3, 4, 1_000_000 + 4_000L * 77) - first).isEqualTo(77);
    }

    @Test
    void anotherSecretMakesOtherNumbers() {
        byte[] other = key();
        other[15] ^= 1;
        assertThat(new InitialSequence(key()).next(1, 2, 3, 4, 0))
                .isNotEqualTo(new InitialSequence(other).next(1, 2, 3, 4, 0));
        assertThatThrownBy(() -> new InitialSequence(new byte[15])).hasMessageContaining("15");
    }

    /** Ten thousand connections one after the other: no step between neighbours says anything of the next. */
    @Test
    void numbersOfNeighbouringPortsAreUnrelated() {
        InitialSequence sequence = new InitialSequence(key());
        int count = 10_000;
        int[] numbers = new int[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = sequence.next(0xC0A84103, 30_000 + i, 0xCB007107, 80, 4_000L * i);
        }
        Set<Integer> steps = new HashSet<>();
        int[] ones = new int[32];
        double correlation = 0;
        for (int i = 1; i < count; i++) {
            steps.add(numbers[i] - numbers[i - 1]);
            for (int bit = 0; bit < 32; bit++) {
                ones[bit] += (numbers[i] ^ numbers[i - 1]) >>> bit & 1;
            }
            correlation += numbers[i] / (double) (1L << 31) * (numbers[i - 1] / (double) (1L << 31));
        }
        assertThat(steps).hasSizeGreaterThan(count - 10);
        for (int bit = 0; bit < 32; bit++) {
            assertThat(ones[bit])
                    .as("bit %d changes in half of the steps", bit)
                    .isBetween(count / 2 - 300, count / 2 + 300);
        }
        // Uniform and independent: mean 0, standard deviation 1/3/sqrt(n).
        assertThat(Math.abs(correlation / count)).isLessThan(5.0 / 3 / Math.sqrt(count));
    }

    @Test
    void tableHashesOfNeighbouringPortsSpread() {
        InitialSequence sequence = new InitialSequence(key());
        int[] buckets = new int[256];
        for (int i = 0; i < 25_600; i++) {
            buckets[
                    sequence.tableHash(
                                    0,
                                    IpAddress.mapped(0xC0A84103),
                                    0,
                                    IpAddress.mapped(0xCB007107),
                                    (i % 60_000) << 16 | 80)
                            & 255]++;
        }
        for (int bucket : buckets) {
            assertThat(bucket).isBetween(40, 180);
        }
    }

    /** SipHash-2-4 of any message, written from the paper's own description (Aumasson, Bernstein, 2012). */
    private static long sipHash24(byte[] key, byte[] message) {
        ByteBuffer keys = ByteBuffer.wrap(key).order(ByteOrder.LITTLE_ENDIAN);
        long k0 = keys.getLong();
        long k1 = keys.getLong();
        long[] v = {
            k0 ^ 0x736f6d6570736575L, k1 ^ 0x646f72616e646f6dL, k0 ^ 0x6c7967656e657261L, k1 ^ 0x7465646279746573L
        };
        int blocks = message.length / 8 + 1;
        ByteBuffer padded = ByteBuffer.allocate(blocks * 8).order(ByteOrder.LITTLE_ENDIAN);
        padded.put(message).put(blocks * 8 - 1, (byte) message.length).rewind();
        for (int i = 0; i < blocks; i++) {
            long m = padded.getLong();
            v[3] ^= m;
            round(v);
            round(v);
            v[0] ^= m;
        }
        v[2] ^= 0xFF;
        for (int i = 0; i < 4; i++) {
            round(v);
        }
        return v[0] ^ v[1] ^ v[2] ^ v[3];
    }

    private static void round(long[] v) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = Long.rotateLeft(v[1], 13);
        v[3] = Long.rotateLeft(v[3], 16);
        v[1] ^= v[0];
        v[3] ^= v[2];
        v[0] = Long.rotateLeft(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = Long.rotateLeft(v[1], 17);
        v[3] = Long.rotateLeft(v[3], 21);
        v[1] ^= v[2];
        v[3] ^= v[0];
        v[2] = Long.rotateLeft(v[2], 32);
    }
}
