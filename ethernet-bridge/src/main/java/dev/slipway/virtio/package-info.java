/**
 * What virtio says of a network device's frames, as a TAP device, a virtio ring and some sockets carry it: the header in front of each
 * frame.
 *
 * <p>Read first: virtio 1.3, section 5.1.6.
 */
package dev.slipway.virtio;
