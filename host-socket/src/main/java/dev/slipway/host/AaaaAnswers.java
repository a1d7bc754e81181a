package dev.slipway.host;

/** What becomes of a guest's questions for IPv6 addresses (AAAA) of names that are not ours. */
public enum AaaaAnswers {
    /** They are answered with "none" while the guest has no way out by IPv6, so that no program tries one. */
    AUTO,
    /** They are answered with what the host's resolvers say. */
    PASS,
    /** They are answered with "none". */
    WITHHOLD
}
