package dev.slipway.control;

import io.netty.channel.Channel;
import java.util.LinkedHashSet;

/** The connections of one socket that speak HTTP, the one first that has waited longest for a request. Thread-safe. */
final class Waiting {

    private final int limit;
    private final LinkedHashSet<Channel> connections = new LinkedHashSet<>();

    /** @param limit connections at a time */
    Waiting(int limit) {
        this.limit = limit;
    }

    /**
     * Adds a connection, or says of one that it waits anew.
     *
     * @return the one that has to make room, or {@code null}
     */
    synchronized Channel waits(Channel connection) {
        connections.remove(connection);
        connections.add(connection);
        return connections.size() > limit ? connections.removeFirst() : null;
    }

    synchronized void remove(Channel connection) {
        connections.remove(connection);
    }
}
