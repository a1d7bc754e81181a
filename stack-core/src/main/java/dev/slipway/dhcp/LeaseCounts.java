package dev.slipway.dhcp;

/**
 * What a lease table has done so far.
 *
 * @param offered addresses offered
 * @param committed leases given or renewed
 * @param refused requests for an address that the client may not have
 * @param released addresses given back
 * @param declined addresses that a client found in use
 * @param exhausted requests that found no address left
 * @param claimed addresses taken into use without DHCP
 * @param claimsRefused attempts to use an address that is somebody else's or nobody's to use, or one too many
 * @param nameConflicts names that a client gave itself but another has
 * @param evicted addresses that a guest with all of its share lost, because it never used them, for others of its own
 */
public record LeaseCounts(
        long offered,
        long committed,
        long refused,
        long released,
        long declined,
        long exhausted,
        long claimed,
        long claimsRefused,
        long nameConflicts,
        long evicted) {}
