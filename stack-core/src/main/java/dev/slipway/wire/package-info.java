/**
 * What stands on the wire: checked views over bytes, and writers of headers.
 *
 * <p>Theory of operation: a view is made once and set again for each packet by {@code parse}, which is total: it looks
 * at every length before it trusts it, and returns a {@link dev.slipway.wire.DropReason}. Behind {@link
 * dev.slipway.wire.DropReason#NONE} no accessor can fail. Nothing here keeps state between packets or knows of
 * connections, and nothing but DNS messages, which are no packet's path, allocates.
 *
 * <p>Limits: Ethernet II only (no 802.1Q tags, no 802.3 length frames), no jumbograms, urgent data in line.
 *
 * <p>Read first: RFC 791, 768, 792, 826, 9293, 1071, 2131, 1035; virtio 1.3, section 5.1.6.
 */
package dev.slipway.wire;
