package dev.slipway.proxy;

import dev.slipway.proxy.ProxySettings.Kind;
import dev.slipway.wire.IpAddress;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * A guest's connection to the gateway's SOCKS 5 proxy (RFC 1928): no authentication, CONNECT alone. When the connection
 * is made it is handed to a {@link Tunnel}.
 *
 * <pre>
 *  greeting:  5 | count | methods …                 answer:  5 | method
 *  request:   5 | command | 0 | type | host | port  answer:  5 | result | 0 | 1 | 0.0.0.0 | 0
 * </pre>
 */
final class SocksFlow implements GuestStream.Service, Upstream.Owner {

    private static final int VERSION = 5;
    private static final int NO_AUTHENTICATION = 0;
    private static final int NO_METHOD = 0xFF;
    private static final int CONNECT = 1;
    private static final int V4 = 1;
    private static final int NAME = 3;
    private static final int V6 = 4;
    private static final int SUCCEEDED = 0;
    private static final int FAILED = 1;
    private static final int FORBIDDEN = 2;
    private static final int HOST_UNREACHABLE = 4;
    private static final int REFUSED = 5;
    private static final int EXPIRED = 6;
    private static final int NO_SUCH_COMMAND = 7;
    private static final int NO_SUCH_TYPE = 8;
    private static final int LONGEST = 2 + 255 + 4 + 255 + 3;

    private final ProxyContext context;
    private final GuestStream stream;
    private final Dialer dialer;
    private final byte[] bytes = new byte[LONGEST];
    private int length;
    private boolean greeted;
    private boolean dialling;
    private boolean over;
    private Upstream upstream;

    SocksFlow(ProxyContext context, GuestStream stream, Dialer dialer) {
        this.context = context;
        this.stream = stream;
        this.dialer = dialer;
        stream.service(this);
        stream.accept();
    }

    @Override
    public void fromGuest() {
        ByteBuf input = stream.input();
        while (!over && !dialling && input != null) {
            // One byte at a time: what follows the request is not for us.
            bytes[length++] = input.readByte();
            stream.inputRead(1);
            if (greeted) {
                request();
            } else {
                greeting();
            }
            input = stream.input();
        }
        if (!over && stream.hasInputEnded() && !dialling) {
            end();
        }
    }

    private int u8(int at) {
        return bytes[at] & 0xFF;
    }

    private void greeting() {
        if (u8(0) != VERSION) {
            malformed();
        } else if (length >= 2 && length == 2 + u8(1)) {
            int method = NO_METHOD;
            for (int i = 2; i < length; i++) {
                method = u8(i) == NO_AUTHENTICATION ? NO_AUTHENTICATION : method;
            }
            length = 0;
            greeted = true;
            stream.send(Unpooled.wrappedBuffer(new byte[] {VERSION, (byte) method}));
            if (method == NO_METHOD) {
                end();
            }
        }
    }

    private void request() {
        if (u8(0) != VERSION) {
            malformed();
            return;
        }
        if (length < 5) {
            return;
        }
        int hostLength = switch (u8(3)) {
            case V4 -> 4;
            case V6 -> 16;
            case NAME -> 1 + u8(4);
            default -> -1;
        };
        if (hostLength < 0) {
            answerAndEnd(NO_SUCH_TYPE);
        } else if (length == 4 + hostLength + 2) {
            if (u8(1) != CONNECT) {
                answerAndEnd(NO_SUCH_COMMAND);
                return;
            }
            connect(target(hostLength));
        }
    }

    private Optional<Target> target(int hostLength) {
        int port = u8(4 + hostLength) << 8 | u8(5 + hostLength);
        if (u8(3) == NAME) {
            return Target.of(new String(bytes, 5, hostLength - 1, StandardCharsets.ISO_8859_1), port);
        }
        byte[] address = new byte[hostLength];
        System.arraycopy(bytes, 4, address, 0, hostLength);
        return port == 0 ? Optional.empty() : Optional.of(Target.of(IpAddress.ofBytes(address), port));
    }

    private void connect(Optional<Target> target) {
        if (target.isEmpty()) {
            context.counters().malformed++;
            answerAndEnd(FAILED);
            return;
        }
        Optional<ProxyRoute> route = ProxyRoute.find(context, Kind.TUNNEL, target.get());
        if (route.isEmpty()) {
            answerAndEnd(FORBIDDEN);
            return;
        }
        dialling = true;
        upstream =
                dialer.dial(route.get().proxy(), Dialer.Way.TUNNEL, route.get().target(), this);
    }

    @Override
    public void connected() {
        answer(SUCCEEDED);
        over = true;
        Tunnel.join(context, stream, upstream);
    }

    @Override
    public void failed(DialFailure failure) {
        answerAndEnd(
                switch (failure.reason()) {
                    case NAME, UNREACHABLE -> HOST_UNREACHABLE;
                    case REFUSED -> REFUSED;
                    case TIMED_OUT -> EXPIRED;
                    case PROHIBITED, PROXY_SAYS_NO -> FORBIDDEN;
                    case EXHAUSTED, CERTIFICATE, PROXY_BROKEN -> FAILED;
                });
    }

    private void answer(int result) {
        stream.send(Unpooled.wrappedBuffer(new byte[] {VERSION, (byte) result, 0, V4, 0, 0, 0, 0, 0, 0}));
    }

    private void answerAndEnd(int result) {
        answer(result);
        end();
    }

    private void malformed() {
        context.counters().malformed++;
        end();
    }

    private void end() {
        over = true;
        stream.sendEnd();
        stream.ignoreInput();
    }

    @Override
    public void roomToGuest() {
        // What this sends always fits.
    }

    @Override
    public void gone(boolean inOrder) {
        over = true;
        if (upstream != null) {
            upstream.abort();
        }
    }

    @Override
    public void received(ByteBuf unexpected) {
        unexpected.release();
    }

    @Override
    public void ended() {
        // It is a tunnel's by the time there is anything to read.
    }

    @Override
    public void broken() {
        stream.abort();
    }

    @Override
    public void writable() {
        // It is a tunnel's by the time there is anything to write.
    }

    @Override
    public boolean hasRoom() {
        return true;
    }
}
