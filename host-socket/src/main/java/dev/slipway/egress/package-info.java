/**
 * What guests may reach: a policy of rules about addresses, networks, ports, protocols and names, the same for every VM
 * or for some.
 *
 * <p>Rules about names hold for the addresses that a name server answered to this VM ({@link
 * dev.slipway.egress.AnsweredNames}): what is judged is always the address that is dialled, and where the policy says so
 * the host as well that a connection of the web asks for there ({@link dev.slipway.egress.Egress#asksForName}). Queries
 * are judged as well, or what a guest may not reach would still hear of it by the names it asks for. Whoever learns a name
 * in another way (a proxy that reads SNI or a Host header) asks {@link dev.slipway.egress.Egress#admitsName}.
 *
 * <p>A policy only narrows: what the other settings close stays closed.
 */
package dev.slipway.egress;
