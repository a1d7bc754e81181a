/**
 * Deadlines in virtual time. Nothing here reads a clock: whoever owns the stack says what time it is.
 *
 * <p>Times are nanoseconds of a clock that never goes back, from any origin.
 */
package dev.slipway.time;
