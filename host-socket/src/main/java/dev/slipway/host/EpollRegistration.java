package dev.slipway.host;

import io.netty.channel.Channel;
import io.netty.channel.IoEvent;
import io.netty.channel.IoHandle;
import io.netty.channel.IoHandler;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.IoOps;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoEvent;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.ThreadAwareExecutor;
import java.io.IOException;
import java.io.UncheckedIOException;

/**
 * A registration with epoll that survives wanting nothing for a while.
 *
 * <p>Netty 4.2's epoll handler takes a descriptor that waits for nothing out of the set, and does not put it back: the
 * next thing it waits for fails with ENOENT, and the channel dies. A half-closed connection gets there as soon as the
 * host has ended its stream and nothing waits to be written, and then cannot wait for room in the kernel's send buffer.
 * Here it stays in the set, so that a reset is noticed too; if the kernel then reports nothing but a hang-up (both
 * sides have ended in order), it is taken out, because that report would never end, and put back by a new registration.
 */
final class EpollRegistration implements EpollIoHandle, IoRegistration {

    private static final int ERROR = EpollIoOps.EPOLLERR.value();

    private final IoHandler handler;
    private final EpollIoHandle handle;
    private IoRegistration inner;
    private boolean idle;
    private boolean absent;
    private boolean replacing;

    private EpollRegistration(IoHandler handler, EpollIoHandle handle) {
        this.handler = handler;
        this.handle = handle;
    }

    /** Wraps what makes epoll handlers, so that their registrations are of this kind. */
    static IoHandlerFactory wrap(IoHandlerFactory factory) {
        return new Factory(factory);
    }

    @Override
    public FileDescriptor fd() {
        return handle.fd();
    }

    @Override
    public void handle(IoRegistration registration, IoEvent event) {
        if (!idle) {
            handle.handle(this, event);
            return;
        }
        int reported = ((EpollIoEvent) event).ops().value();
        if ((reported & ERROR) != 0 && handle instanceof Channel.Unsafe unsafe) {
            // Nobody reads or writes, so nobody else would find the error.
            unsafe.close(unsafe.voidPromise());
        } else {
            inner.submit(EpollIoOps.NONE);
            absent = true;
        }
    }

    @Override
    public long submit(IoOps ops) {
        EpollIoOps wanted = (EpollIoOps) ops;
        idle = wanted.value() == 0;
        if (!absent) {
            return inner.submit(idle ? EpollIoOps.EPOLLERR : wanted);
        }
        if (idle) {
            return 0;
        }
        replacing = true;
        try {
            inner.cancel();
            inner = handler.register(this);
            absent = false;
        } catch (Exception e) {
            throw new UncheckedIOException(new IOException("cannot register with epoll again", e));
        } finally {
            replacing = false;
        }
        return inner.submit(wanted);
    }

    @Override
    public <T> T attachment() {
        return inner.attachment();
    }

    @Override
    public boolean isValid() {
        return inner.isValid();
    }

    @Override
    public boolean cancel() {
        return inner.cancel();
    }

    @Override
    public void registered() {
        if (!replacing) {
            handle.registered();
        }
    }

    @Override
    public void unregistered() {
        if (!replacing) {
            handle.unregistered();
        }
    }

    @Override
    public void close() {
        try {
            handle.close();
        } catch (Exception e) {
            throw new IllegalStateException("cannot close a channel", e);
        }
    }

    private record Factory(IoHandlerFactory factory) implements IoHandlerFactory {
        @Override
        public IoHandler newHandler(ThreadAwareExecutor executor) {
            return new Handler(factory.newHandler(executor));
        }

        @Override
        public boolean isChangingThreadSupported() {
            return factory.isChangingThreadSupported();
        }
    }

    private static final class Handler extends IoHandlerDecorator {
        Handler(IoHandler handler) {
            super(handler);
        }

        @Override
        public IoRegistration register(IoHandle handle) throws Exception {
            if (!(handle instanceof Channel.Unsafe)) {
                return handler.register(handle);
            }
            EpollRegistration registration = new EpollRegistration(handler, (EpollIoHandle) handle);
            registration.inner = handler.register(registration);
            return registration;
        }
    }
}
