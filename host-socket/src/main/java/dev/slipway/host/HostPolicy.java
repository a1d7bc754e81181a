package dev.slipway.host;

/**
 * What of the host a guest may reach.
 *
 * @param hostAccess whether the host address leads to the host's localhost, and the host's own interface addresses may
 *     be dialled
 * @param allowLinkLocal whether 169.254.0.0/16 may be dialled: neighbours without a router, and the metadata services
 *     of clouds
 */
public record HostPolicy(boolean hostAccess, boolean allowLinkLocal) {

    /** Host access, no link-local addresses. */
    public static HostPolicy defaults() {
        return new HostPolicy(true, false);
    }
}
