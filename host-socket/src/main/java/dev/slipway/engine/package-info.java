/**
 * Container engines in the VM: what their containers publish becomes ports of the host.
 *
 * <p>Theory of operation: {@link dev.slipway.engine.EngineWatcher} listens to the engine's events (Docker Engine API,
 * {@code GET /events}) on its Unix socket. Each event, and each new connection, leads to one look at the list of running
 * containers ({@code GET /containers/json}), from which what should be published follows; the difference to what is
 * published is then carried out. So an event that was lost or not understood costs nothing, and no state is kept that the
 * engine does not have.
 *
 * <p>A port that the engine bound to all addresses of the VM leads to the VM's own address. One that it bound to the VM's
 * loopback leads to the container's address, by way of the VM.
 *
 * <p>What the engine says is not trusted to be well formed: an answer that is no JSON, too long (8 MiB), too late (10
 * seconds) or cut off changes nothing, is reported once, and is asked for again.
 *
 * <p>Limits: API versions of Docker 20.10 to 28 and Podman's compatible API: only what has been in all of them is used.
 */
package dev.slipway.engine;
