package dev.slipway.testing;

import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import org.assertj.core.api.AbstractAssert;

/** Assertions about an ARP packet. */
public final class ArpAssert extends AbstractAssert<ArpAssert, SentFrame> {

    ArpAssert(SentFrame frame) {
        super(frame, ArpAssert.class);
    }

    public ArpAssert isRequestFor(String ip) {
        return same("operation", 1, actual.u16(20)).same("target", ip, IpAddress.toString(actual.i32(38)));
    }

    /** A reply that tells that an IP address has a MAC address. */
    public ArpAssert isReply(String ip, long mac) {
        return same("operation", 2, actual.u16(20))
                .same("sender", ip, IpAddress.toString(actual.i32(28)))
                .same("sender MAC", MacAddress.toString(mac), MacAddress.toString(actual.mac(22)));
    }

    /** Who asked, or is asked. */
    public ArpAssert to(String ip, long mac) {
        return same("target", ip, IpAddress.toString(actual.i32(38)))
                .same("target MAC", MacAddress.toString(mac), MacAddress.toString(actual.mac(32)));
    }

    private ArpAssert same(String what, Object expected, Object is) {
        if (!expected.equals(is)) {
            throw failureWithActualExpected(
                    is, expected, "ARP %s: expected %s, is %s in %s", what, expected, is, actual);
        }
        return this;
    }
}
