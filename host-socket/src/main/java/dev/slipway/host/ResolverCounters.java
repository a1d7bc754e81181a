package dev.slipway.host;

/** What a VM's resolver has counted. Written by the VM's event loop; others may read numbers that are a moment old. */
public final class ResolverCounters {

    long queries;
    long answers;
    long timeouts;
    long unreachable;
    long failures;
    long rejected;
    long refused;
    int outstanding;

    /** Queries that were asked for the guest. */
    public long queries() {
        return queries;
    }

    /** Queries that a server answered, be it that there is no such name. */
    public long answers() {
        return answers;
    }

    /** Servers that did not answer in time. */
    public long timeouts() {
        return timeouts;
    }

    /** Servers that could not be reached, or ended the connection. */
    public long unreachable() {
        return unreachable;
    }

    /** Queries that no server answered: the guest was told SERVFAIL. */
    public long failures() {
        return failures;
    }

    /** Messages that answer no query of ours: a wrong id, a wrong question, or too late. */
    public long rejected() {
        return rejected;
    }

    /** Queries over the limit. */
    public long refused() {
        return refused;
    }

    /** Queries that wait for an answer. */
    public int outstanding() {
        return outstanding;
    }
}
