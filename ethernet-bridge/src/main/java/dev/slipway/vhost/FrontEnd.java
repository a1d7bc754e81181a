package dev.slipway.vhost;

import dev.slipway.posix.Errno;
import dev.slipway.posix.ReceivedDescriptors;
import dev.slipway.posix.Sockets;
import dev.slipway.vhost.VhostDevice.Answer;

/**
 * The connection to a VM manager: reads its messages one by one and answers them.
 *
 * <p>A message's descriptors come with the bytes of its header, so a header is read by itself, and its payload by itself:
 * never a byte of the next message, whose descriptors would be lost or taken for this one's.
 *
 * <p>Limits: {@value #MESSAGES_PER_TURN} messages in one turn of the event loop. A front-end that does not read answers
 * is let go of.
 */
final class FrontEnd {

    private static final int MESSAGES_PER_TURN = 64;

    private final Sockets sockets;
    private final VhostDevice device;
    private final AfterEach afterEach;
    private final ControlMessage message = new ControlMessage();
    private final ControlMessage answer = new ControlMessage();
    private final ReceivedDescriptors received = new ReceivedDescriptors();
    private final PassedDescriptors passed;
    private int position;
    private boolean closed;

    /** What a message may make possible. */
    interface AfterEach {

        void run() throws ProtocolViolation;
    }

    /** @param afterEach run when a message was done, before it is answered */
    FrontEnd(Sockets sockets, VhostDevice device, AfterEach afterEach) {
        this.sockets = sockets;
        this.device = device;
        this.afterEach = afterEach;
        passed = new PassedDescriptors(sockets);
    }

    /**
     * Reads and answers what there is.
     *
     * @param fd the socket
     * @return null, or why the connection is over
     * @throws ProtocolViolation if what was read cannot be
     */
    String read(int fd) throws ProtocolViolation {
        for (int messages = 0; messages < MESSAGES_PER_TURN && !closed; messages++) {
            while (position < ControlMessage.HEADER) {
                int result = sockets.receive(fd, message.bytes(), position, ControlMessage.HEADER - position, received);
                passed.add(received);
                if (result <= 0) {
                    return whyNot(result);
                }
                position += result;
                if (position == ControlMessage.HEADER) {
                    message.check();
                }
            }
            int end = ControlMessage.HEADER + message.size();
            while (position < end) {
                int result = sockets.read(fd, message.bytes(), position, end - position);
                if (result <= 0) {
                    return whyNot(result);
                }
                position += result;
            }
            String reason = handle(fd);
            if (reason != null) {
                return reason;
            }
        }
        return null;
    }

    /** Why the connection is over if nothing could be read; null if there is nothing to read yet. */
    private String whyNot(int result) {
        if (result == -Errno.EAGAIN || result == -Errno.EINTR) {
            return null;
        }
        return result < 0
                ? "the connection to the VM manager failed: " + Errno.name(-result)
                : "the VM manager closed the connection" + (position > 0 ? " in the middle of a message" : "");
    }

    private String handle(int fd) throws ProtocolViolation {
        position = 0;
        int request = message.request();
        Answer done;
        try {
            done = device.handle(message, passed);
        } finally {
            passed.closeRest();
        }
        afterEach.run();
        if (closed) {
            return null;
        }
        int length;
        switch (done) {
            case VALUE -> length = answer.reply(request, device.value());
            case RING_STATE -> length = answer.reply(request, (int) message.u32(0), (int) device.value());
            default -> {
                if (!message.wantsReply() || !device.acknowledges()) {
                    return null;
                }
                length = answer.reply(request, done == Answer.DONE ? 0 : 1);
            }
        }
        int written = sockets.write(fd, answer.bytes(), 0, length);
        return written == length
                ? null
                : written >= 0 || written == -Errno.EAGAIN
                        ? "the VM manager does not read answers"
                        : "the connection to the VM manager failed: " + Errno.name(-written);
    }

    /** Lets go of descriptors of a message that is not complete. */
    void close() {
        closed = true;
        passed.closeRest();
    }
}
