package dev.slipway.wire;

/**
 * TCP sequence numbers: 32 bits, compared modulo 2<sup>32</sup> (RFC 9293, section 3.4). A number is "before" another
 * when it is less than 2<sup>31</sup> behind it.
 */
public final class SequenceNumber {

    private SequenceNumber() {}

    public static boolean before(int a, int b) {
        return a - b < 0;
    }

    public static boolean beforeOrAt(int a, int b) {
        return a - b <= 0;
    }

    public static boolean after(int a, int b) {
        return a - b > 0;
    }

    public static boolean afterOrAt(int a, int b) {
        return a - b >= 0;
    }

    public static int max(int a, int b) {
        return a - b >= 0 ? a : b;
    }

    public static int min(int a, int b) {
        return a - b <= 0 ? a : b;
    }
}
