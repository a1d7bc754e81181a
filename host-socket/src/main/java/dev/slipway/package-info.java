/**
 * The program: its commands, its settings, its end.
 *
 * <p>Theory of operation: {@link dev.slipway.Main} builds only the command that was asked for. {@code run} reads
 * settings from flags and a file into one {@link dev.slipway.Settings}, which is checked as a whole before anything is
 * opened, starts a network for each VM, and waits until it is stopped. A setting has one name everywhere, and an error
 * names the place where it was written.
 *
 * <p>Limits: a settings file is at most 1 MiB, is read once, and is not followed when it changes.
 */
package dev.slipway;
