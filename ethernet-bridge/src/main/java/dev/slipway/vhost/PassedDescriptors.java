package dev.slipway.vhost;

import dev.slipway.posix.ReceivedDescriptors;
import dev.slipway.posix.Sockets;

/** The descriptors that came with one message. Whoever takes one owns it; the others are closed with the message. */
final class PassedDescriptors {

    private static final int TAKEN = -1;

    private final Sockets sockets;
    private final int[] descriptors = new int[ReceivedDescriptors.MAX];
    private int count;
    private boolean tooMany;

    PassedDescriptors(Sockets sockets) {
        this.sockets = sockets;
    }

    /** Adds what came with a part of the message. */
    void add(ReceivedDescriptors received) {
        tooMany |= received.isCut();
        for (int i = 0; i < received.count(); i++) {
            if (count == descriptors.length) {
                tooMany = true;
                sockets.close(received.get(i));
            } else {
                descriptors[count++] = received.get(i);
            }
        }
    }

    /** Whether more came than any message has. */
    boolean areTooMany() {
        return tooMany;
    }

    int count() {
        return count;
    }

    /** One that stays here. */
    int get(int index) {
        return descriptors[index];
    }

    /** One that belongs to the caller from here on. */
    int take(int index) {
        int taken = descriptors[index];
        descriptors[index] = TAKEN;
        return taken;
    }

    /** The message is over. */
    void closeRest() {
        for (int i = 0; i < count; i++) {
            if (descriptors[i] != TAKEN) {
                sockets.close(descriptors[i]);
            }
        }
        count = 0;
        tooMany = false;
    }
}
