package dev.slipway.dhcp;

/** One address that was ever used, and what became of it. Guarded by the lock of the {@link LeaseTable} it is in. */
final class LeaseEntry {

    /** The holder of what was given to no guest in particular. */
    static final int NOBODY = 0;

    /** How much it hurts if an address is given to a new client, least first. */
    enum Loss {
        /** It was offered in vain, or its rest is over. */
        SPENT,
        /** It is on offer, as most addresses are. */
        OFFERED_IN_FLOOD,
        /** Somebody had it. */
        REMEMBERED,
        OFFERED,
        RESTING,
        /** It must not be taken from its owner. */
        OWNED
    }

    final int address;
    /** The owner's, or the last owner's; 0 if there was none. */
    long mac;

    Lease.State state = Lease.State.FREE;
    /** When the state is over, on the clock of the table's callers; if it is free, since when. */
    long expires;

    boolean reserved;
    boolean everBound;
    /** Whether its owner was seen to use it. */
    boolean used;
    /** The guest that got it, or {@link #NOBODY}. */
    int holder = NOBODY;
    /** What {@link GuestNames} calls its owner, or empty. */
    String name = "";

    LeaseEntry(int address) {
        this.address = address;
    }

    boolean isOwned() {
        return state == Lease.State.BOUND || state == Lease.State.CLAIMED || state == Lease.State.RESERVED;
    }

    /** Whether it is what DHCP gave, for a moment or for long. */
    boolean isBoundOrOffered() {
        return state == Lease.State.BOUND || state == Lease.State.OFFERED;
    }

    /** Whether it is a client's already, or nobody's. */
    boolean isFreeFor(long client, long now) {
        return switch (state) {
            case FREE -> true;
            case QUARANTINED -> isOver(now);
            case OFFERED, BOUND -> mac == client || isOver(now);
            case CLAIMED, RESERVED -> mac == client;
        };
    }

    /** @param flood whether most addresses are on offer */
    Loss loss(long now, boolean flood) {
        return switch (state) {
            case FREE -> unowned();
            case OFFERED -> isOver(now) ? unowned() : flood ? Loss.OFFERED_IN_FLOOD : Loss.OFFERED;
            case BOUND -> isOver(now) ? Loss.REMEMBERED : Loss.OWNED;
            case QUARANTINED -> isOver(now) ? Loss.SPENT : Loss.RESTING;
            case CLAIMED, RESERVED -> Loss.OWNED;
        };
    }

    private Loss unowned() {
        return everBound ? Loss.REMEMBERED : Loss.SPENT;
    }

    private boolean isOver(long now) {
        return expires - now <= 0;
    }
}
