package dev.slipway.egress;

import java.util.concurrent.atomic.AtomicInteger;

/** Answers of name servers, read for the addresses that a policy is about. */
public final class AddressRecordsFuzz {

    private AddressRecordsFuzz() {}

    public static void fuzzerTestOneInput(byte[] data) {
        AtomicInteger count = new AtomicInteger();
        AddressRecords.read(data, (address, seconds) -> {
            count.incrementAndGet();
            if (seconds < 0 || seconds > 0xFFFF_FFFFL) {
                throw new AssertionError("an address for " + seconds + " seconds");
            }
        });
        if (count.get() > data.length / 14) {
            throw new AssertionError(count + " addresses in " + data.length + " bytes");
        }
    }
}
