package dev.slipway.host;

import java.security.SecureRandom;

/** Unpredictable 16-bit numbers, made many at a time: one by one they would cost more than the query they are for. */
final class RandomIds {

    private final SecureRandom random = new SecureRandom();
    private final byte[] bytes = new byte[512];
    private int used = bytes.length;

    /** 0 to 65,535. */
    int next() {
        if (used == bytes.length) {
            random.nextBytes(bytes);
            used = 0;
        }
        int number = (bytes[used] & 0xFF) << 8 | bytes[used + 1] & 0xFF;
        used += 2;
        return number;
    }
}
