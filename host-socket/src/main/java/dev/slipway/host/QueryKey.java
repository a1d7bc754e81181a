package dev.slipway.host;

import java.util.Arrays;

/** What makes two queries the same: all but the id, and whether a long answer may come. */
final class QueryKey implements Comparable<QueryKey> {

    private static final int ID_LENGTH = 2;

    private final byte[] query;
    private final boolean stream;
    private final int hash;

    /**
     * @param query a DNS message, which must not change from now on
     * @param stream whether the guest asked over TCP
     */
    QueryKey(byte[] query, boolean stream) {
        this.query = query;
        this.stream = stream;
        int sum = stream ? 1 : 0;
        for (int i = ID_LENGTH; i < query.length; i++) {
            sum = 31 * sum + query[i];
        }
        hash = sum;
    }

    /** Bytes that it keeps. */
    int length() {
        return query.length;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof QueryKey key
                && key.hash == hash
                && key.stream == stream
                && Arrays.equals(query, ID_LENGTH, query.length, key.query, ID_LENGTH, key.query.length);
    }

    /** An order, so that a map finds its way among keys that a guest made to have the same hash code. */
    @Override
    public int compareTo(QueryKey other) {
        int order = Boolean.compare(stream, other.stream);
        return order != 0
                ? order
                : Arrays.compare(query, ID_LENGTH, query.length, other.query, ID_LENGTH, other.query.length);
    }

    @Override
    public int hashCode() {
        return hash;
    }
}
