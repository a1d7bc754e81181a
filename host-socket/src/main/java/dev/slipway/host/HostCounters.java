package dev.slipway.host;

/**
 * What the host side of a VM has counted. Written by the VM's event loop; others may read numbers that are a moment
 * old.
 */
public final class HostCounters {

    long connects;
    long connectsRefusedByPolicy;
    long connectsFailed;
    long socketsExhausted;
    long resetsByHost;
    long flowsShed;
    long outOfMemory;
    long datagramsToHost;
    long datagramsFromHost;
    long datagramsRefusedByPolicy;
    long datagramsLost;
    long datagramsFromStrangers;
    long echoesToHost;
    long echoesFromHost;
    long echoesLost;
    long errorsFromHost;
    long stackFailures;
    long accepts;
    int openStreams;
    int openDatagrams;
    int openEchoes;

    /** TCP connections that were begun. */
    public long connects() {
        return connects;
    }

    /** Connections of published ports that were passed on to the guest. */
    public long accepts() {
        return accepts;
    }

    /** TCP connections that the settings forbid, or to addresses that lead nowhere. */
    public long connectsRefusedByPolicy() {
        return connectsRefusedByPolicy;
    }

    /** TCP connections that the host's kernel could not make. */
    public long connectsFailed() {
        return connectsFailed;
    }

    /** Sockets that the host had no descriptor, port or memory for. */
    public long socketsExhausted() {
        return socketsExhausted;
    }

    /** Established connections that the host's peer reset, or its kernel gave up. */
    public long resetsByHost() {
        return resetsByHost;
    }

    /** Established connections given up because the queues of all of them held too much, see {@link dev.slipway.queue.QueueBudget}. */
    public long flowsShed() {
        return flowsShed;
    }

    /** Connections given up because there was no memory for their bytes. */
    public long outOfMemory() {
        return outOfMemory;
    }

    public long datagramsToHost() {
        return datagramsToHost;
    }

    public long datagramsFromHost() {
        return datagramsFromHost;
    }

    /** Datagrams to where the settings forbid, or to addresses that lead nowhere. */
    public long datagramsRefusedByPolicy() {
        return datagramsRefusedByPolicy;
    }

    /** Datagrams that the host's kernel did not take. */
    public long datagramsLost() {
        return datagramsLost;
    }

    /** Datagrams from an address that the guest must not hear of. */
    public long datagramsFromStrangers() {
        return datagramsFromStrangers;
    }

    /** Echo requests that the host sent. */
    public long echoesToHost() {
        return echoesToHost;
    }

    /** Answers to echo requests. */
    public long echoesFromHost() {
        return echoesFromHost;
    }

    /** Echo requests that the host's kernel did not take. */
    public long echoesLost() {
        return echoesLost;
    }

    /** Errors that the network reported about what the host had sent for the guest. */
    public long errorsFromHost() {
        return errorsFromHost;
    }

    /** Exceptions out of the stack, or out of what it does with an event. */
    public long stackFailures() {
        return stackFailures;
    }

    /** TCP connections that are open or connecting. */
    public int openStreams() {
        return openStreams;
    }

    /** UDP sockets that are open. */
    public int openDatagrams() {
        return openDatagrams;
    }

    /** Ping sockets that are open. */
    public int openEchoes() {
        return openEchoes;
    }
}
