package dev.slipway.lan;

/** A MAC address and the port it is at. */
final class Station {

    final long mac;
    final SwitchPort port;
    /** Tells stations from one another, also those of one address one after the other; never 0. */
    final int id;
    /** Whether it is the first of its port, the VM's own card. */
    final boolean own;

    /** When its last frame came; written by its port's thread, and a moment old for others. */
    long lastFrame;

    /** Whether the address is the port's no more. */
    volatile boolean gone;

    Station(long mac, SwitchPort port, int id, boolean own, long now) {
        this.mac = mac;
        this.port = port;
        this.id = id;
        this.own = own;
        this.lastFrame = now;
    }
}
