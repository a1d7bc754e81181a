package dev.slipway.host;

import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;

/**
 * Unpredictable 16-bit numbers, made many at a time: one by one they would cost more than the query they are for. They
 * come from the kernel as they are where the JVM offers that (/dev/urandom, on Linux and macOS); its own generator would
 * hash them once more.
 */
final class RandomIds {

    private static final int BYTES = 512;

    private final SecureRandom random;
    private final boolean fromKernel;
    private byte[] bytes = new byte[BYTES];
    private int used = BYTES;

    RandomIds() {
        SecureRandom kernels = kernels();
        fromKernel = kernels != null;
        random = fromKernel ? kernels : new SecureRandom();
    }

    private static SecureRandom kernels() {
        try {
            return SecureRandom.getInstance("NativePRNGNonBlocking");
        } catch (NoSuchAlgorithmException e) {
            return null;
        }
    }

    /** 0 to 65,535. */
    int next() {
        if (used == BYTES) {
            if (fromKernel) {
                bytes = random.generateSeed(BYTES);
            } else {
                random.nextBytes(bytes);
            }
            used = 0;
        }
        int number = (bytes[used] & 0xFF) << 8 | bytes[used + 1] & 0xFF;
        used += 2;
        return number;
    }
}
