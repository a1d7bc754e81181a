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
    long cached;
    long joined;
    long hostsFile;
    long changes;
    long withheld;
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

    /** Queries that were answered with what a server said a short time ago. */
    public long cached() {
        return cached;
    }

    /** Queries that waited for the answer to an identical one. */
    public long joined() {
        return joined;
    }

    /** Queries that the host's hosts file answered. */
    public long hostsFile() {
        return hostsFile;
    }

    /** How often other servers were to be asked, or the host's addresses were other ones. */
    public long changes() {
        return changes;
    }

    /** Queries for IPv6 addresses that were answered with none, as the guest has no use for them. */
    public long withheld() {
        return withheld;
    }

    /** Queries that wait for an answer. */
    public int outstanding() {
        return outstanding;
    }
}
