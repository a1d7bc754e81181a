package dev.slipway.tcp;

import dev.slipway.wire.IpAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Initial sequence numbers as RFC 6528, section 3 has them: a clock of 4 microseconds plus a keyed hash of the
 * connection's addresses and ports, so that nobody who does not see the link can guess one.
 */
final class InitialSequence {

    private static final long NANOS_PER_TICK = 4_000;

    private final long key0;
    private final long key1;

    /**
     * @param secret 16 bytes nobody else knows
     */
    InitialSequence(byte[] secret) {
        if (secret.length != 16) {
            throw new IllegalArgumentException("the secret has 16 bytes, not " + secret.length);
        }
        ByteBuffer bytes = ByteBuffer.wrap(secret).order(ByteOrder.LITTLE_ENDIAN);
        key0 = bytes.getLong();
        key1 = bytes.getLong();
    }

    int next(int guest, int guestPort, int remote, int remotePort, long now) {
        long hash = sipHash((long) guest << 32 | remote & 0xFFFF_FFFFL, (long) guestPort << 16 | remotePort);
        return (int) (now / NANOS_PER_TICK) + (int) hash;
    }

    /** The same for addresses of either family. */
    int next(IpAddress guest, int guestPort, IpAddress remote, int remotePort, long now) {
        if (guest.isV4() && remote.isV4()) {
            return next(guest.v4(), guestPort, remote.v4(), remotePort, now);
        }
        long hash = sipHash(guest.high(), guest.low());
        hash = sipHash(hash ^ remote.high(), remote.low());
        hash = sipHash(hash, (long) guestPort << 16 | remotePort);
        return (int) (now / NANOS_PER_TICK) + (int) hash;
    }

    /** A hash for tables, keyed so that a guest cannot choose what collides. */
    int tableHash(long guestHigh, long guestLow, long remoteHigh, long remoteLow, int ports) {
        long guest = guestLow * (key0 | 1) + guestHigh * (key1 | 1);
        long remote = remoteLow * (Long.rotateLeft(key1, 23) | 1) + remoteHigh * (Long.rotateLeft(key0, 41) | 1);
        guest ^= guest >>> 29;
        remote ^= remote >>> 31;
        long mixed = (Long.rotateLeft(guest, 32) ^ remote) * 0x9E37_79B9_7F4A_7C15L ^ key0;
        mixed = (mixed ^ mixed >>> 32 ^ (ports & 0xFFFF_FFFFL)) * 0xD6E8_FEB8_6659_FD93L ^ key1;
        return (int) (mixed ^ mixed >>> 32);
    }

    /** SipHash-2-4 of two words (Aumasson, Bernstein: SipHash, a fast short-input PRF). */
    private long sipHash(long first, long second) {
        long v0 = key0 ^ 0x736f6d6570736575L;
        long v1 = key1 ^ 0x646f72616e646f6dL;
        long v2 = key0 ^ 0x6c7967656e657261L;
        long v3 = key1 ^ 0x7465646279746573L;
        long last = 16L << 56;
        for (int word = 0; word < 4; word++) {
            long m = word == 0 ? first : word == 1 ? second : last;
            int rounds = 2;
            if (word == 3) {
                m = 0;
                v2 ^= 0xFF;
                rounds = 4;
            }
            v3 ^= m;
            for (int i = 0; i < rounds; i++) {
                v0 += v1;
                v1 = Long.rotateLeft(v1, 13) ^ v0;
                v0 = Long.rotateLeft(v0, 32);
                v2 += v3;
                v3 = Long.rotateLeft(v3, 16) ^ v2;
                v0 += v3;
                v3 = Long.rotateLeft(v3, 21) ^ v0;
                v2 += v1;
                v1 = Long.rotateLeft(v1, 17) ^ v2;
                v2 = Long.rotateLeft(v2, 32);
            }
            v0 ^= m;
        }
        return v0 ^ v1 ^ v2 ^ v3;
    }
}
