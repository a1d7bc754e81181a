package dev.slipway.host;

import io.netty.channel.unix.FileDescriptor;

/**
 * A descriptor that the socket which has it closes by a system call of its own, right after it has given up its
 * registration with the event loop.
 *
 * <p>The kernel takes a closed descriptor out of its set by itself (epoll(7), questions and answers, 6). Netty leaves out
 * the call that would do so before, once it is told that the descriptor is no longer open.
 */
final class OwnedDescriptor extends FileDescriptor {

    private boolean closing;

    OwnedDescriptor(int fd) {
        super(fd);
    }

    /** Its socket is about to close it, in this turn of the event loop. */
    void closing() {
        closing = true;
    }

    @Override
    public boolean isOpen() {
        return !closing && super.isOpen();
    }
}
