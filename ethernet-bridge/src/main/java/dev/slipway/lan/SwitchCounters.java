package dev.slipway.lan;

/**
 * What a VM has sent to others and got from them. Written by its own event loop; others may read numbers that are a moment
 * old. What was not let through is counted with the VM's drops.
 */
public final class SwitchCounters {

    private long framesToVms;
    private long bytesToVms;
    private long framesFromVms;
    private long bytesFromVms;

    void toVm(int frameLength) {
        framesToVms++;
        bytesToVms += frameLength;
    }

    void fromVm(int frameLength) {
        framesFromVms++;
        bytesFromVms += frameLength;
    }

    /** Frames sent to other VMs, one for each that gets it. */
    public long framesToVms() {
        return framesToVms;
    }

    public long bytesToVms() {
        return bytesToVms;
    }

    /** Frames of other VMs that were given to the VM's link. */
    public long framesFromVms() {
        return framesFromVms;
    }

    public long bytesFromVms() {
        return bytesFromVms;
    }
}
