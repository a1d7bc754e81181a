package dev.slipway.ip;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Identifications of packets that may be fragmented: a guess at the next from those before is as good as any (RFC 7739),
 * and none comes again before all others have (RFC 6864, section 4.3). A count is put through a permutation with a key: a
 * Feistel network of four rounds. What mixes in a round is quick, and no cipher: it is not for secrets.
 */
public final class FragmentIds {

    private static final int ROUNDS = 4;

    private final int half;
    private final int mask;
    private final long key0;
    private final long key1;
    private int count;

    /**
     * @param secret 16 bytes that nobody else knows
     * @param bits of an identification: 16 for IPv4, 32 for IPv6
     */
    public FragmentIds(byte[] secret, int bits) {
        ByteBuffer bytes = ByteBuffer.wrap(secret).order(ByteOrder.LITTLE_ENDIAN);
        key0 = bytes.getLong();
        key1 = bytes.getLong();
        half = bits / 2;
        mask = (1 << half) - 1;
        count = (int) (key0 ^ key1 >>> 7);
    }

    /** The next one; of 16 bits it is 0 to 65,535. */
    public int next() {
        int left = count >>> half & mask;
        int right = count & mask;
        count++;
        for (int round = 0; round < ROUNDS; round++) {
            int mixed = left ^ mix(right, round) & mask;
            left = right;
            right = mixed;
        }
        return left << half | right;
    }

    private int mix(int value, int round) {
        long x = (value + 1L + ((long) round << 32) ^ key0) * 0x9E37_79B9_7F4A_7C15L;
        x = (x ^ x >>> 29 ^ key1) * 0xBF58_476D_1CE4_E5B9L;
        return (int) (x ^ x >>> 32) ^ (int) (x >>> 48);
    }
}
