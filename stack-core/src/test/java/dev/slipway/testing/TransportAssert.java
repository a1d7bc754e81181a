package dev.slipway.testing;

import dev.slipway.wire.IpAddress;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.assertj.core.api.AbstractAssert;

/**
 * What the assertions about TCP, UDP and ICMP have in common: addresses, ports and payload.
 *
 * @param <S> the assertion's own type
 */
public abstract sealed class TransportAssert<S extends TransportAssert<S>> extends AbstractAssert<S, SentFrame>
        permits TcpAssert, UdpAssert, IcmpAssert {

    TransportAssert(SentFrame frame, Class<S> self) {
        super(frame, self);
    }

    /** Where the payload begins behind the transport header. */
    abstract int headerLength();

    public S from(String ip) {
        return same("source", ip, IpAddress.toString(actual.i32(26)));
    }

    public S to(String ip) {
        return same("destination", ip, IpAddress.toString(actual.i32(30)));
    }

    /** The payload, copied. */
    public byte[] payload() {
        return actual.slice(actual.transport() + headerLength(), actual.transport() + actual.transportLength());
    }

    public S hasPayload(byte[] expected) {
        byte[] is = payload();
        int at = Arrays.mismatch(expected, is);
        if (at >= 0) {
            throw failure(
                    "payload: expected %d bytes, are %d, first difference at %d in %s",
                    expected.length, is.length, at, actual);
        }
        return myself;
    }

    public S hasPayload(String ascii) {
        return hasPayload(ascii.getBytes(StandardCharsets.US_ASCII));
    }

    public S hasPayloadLength(int bytes) {
        return same("payload length", bytes, payload().length);
    }

    public S hasNoPayload() {
        return hasPayloadLength(0);
    }

    public S hasTtl(int value) {
        return same("TTL", value, actual.u8(22));
    }

    int u8(int at) {
        return actual.u8(actual.transport() + at);
    }

    int u16(int at) {
        return actual.u16(actual.transport() + at);
    }

    long u32(int at) {
        return actual.i32(actual.transport() + at) & 0xFFFF_FFFFL;
    }

    S same(String what, Object expected, Object is) {
        if (!expected.equals(is)) {
            throw failureWithActualExpected(is, expected, "%s: expected %s, is %s in %s", what, expected, is, actual);
        }
        return myself;
    }
}
