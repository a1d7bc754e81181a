package dev.slipway.publish;

import java.util.Optional;

/**
 * A published port, or one that would be.
 *
 * @param request what was asked for, its host port the real one
 * @param owner who asked for it: {@code settings}, {@code api}, or the name of a container
 * @param failure why it does not listen, if so
 */
public record Published(PortRequest request, String owner, Optional<String> failure) {}
