package dev.slipway.proxy;

import io.netty.buffer.ByteBuf;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Which proxies and servers keep a connection open between two requests. HTTP/1.1 says that they do unless they say
 * otherwise (RFC 9112, section 9.3), but some close it after each response without a word. A request that cannot be sent
 * again must not meet that; one that meets it all the same is not sent again, and the guest sees the connection end as
 * it would without a proxy.
 *
 * <p>What is known comes from watching: a second response on one connection, a response that says {@code keep-alive}, or
 * an idle connection that is still there after {@value #WATCH_MILLIS} ms. Belongs to the VM's event loop.
 */
final class KeptConnections {

    /** How long an idle connection must stay open to be one that is kept, in milliseconds. */
    static final int WATCH_MILLIS = 250;

    /** Of how many proxies and servers it is remembered. */
    static final int LIMIT = 256;

    private final Map<Object, Boolean> known = new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Object, Boolean> eldest) {
            return size() > LIMIT;
        }
    };

    private Watch watch;

    /** Whether that proxy or server is known to keep its connections. */
    boolean keeps(Object peer) {
        return known.getOrDefault(peer, false);
    }

    void learn(Object peer, boolean keeps) {
        known.put(peer, keeps);
    }

    /** Takes over a connection that is idle and not needed any more, maybe to see whether it is kept. */
    void dismiss(ProxyContext context, Object peer, Upstream idle) {
        if (watch == null && !known.containsKey(peer)) {
            watch = new Watch(peer, idle);
            watch.begin(context);
        } else {
            idle.close();
        }
    }

    /** Lets go of what is being watched. */
    void close() {
        if (watch != null) {
            watch.end();
        }
    }

    private final class Watch implements Upstream.Owner {

        private final Object peer;
        private final Upstream idle;
        private Runnable cancel = () -> {};

        Watch(Object peer, Upstream idle) {
            this.peer = peer;
            this.idle = idle;
        }

        void begin(ProxyContext context) {
            idle.owner(this);
            cancel = context.after(WATCH_MILLIS, () -> end(true));
        }

        private void end(boolean kept) {
            known.putIfAbsent(peer, kept);
            end();
        }

        void end() {
            watch = null;
            cancel.run();
            idle.close();
        }

        @Override
        public void connected() {
            throw new IllegalStateException("it is connected already");
        }

        @Override
        public void failed(DialFailure failure) {
            throw new IllegalStateException("it is connected already");
        }

        @Override
        public void received(ByteBuf bytes) {
            bytes.release();
            end();
        }

        @Override
        public void ended() {
            end(false);
        }

        @Override
        public void broken() {
            end(false);
        }

        @Override
        public void writable() {
            // There is nothing to write.
        }

        @Override
        public boolean hasRoom() {
            return true;
        }
    }
}
