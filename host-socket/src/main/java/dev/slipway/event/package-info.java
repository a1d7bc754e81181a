/**
 * What happens to a running network, told as it happens: to the control API's listeners and to whoever waits at a
 * notification socket. Whoever causes an event tells it; nobody who hears of it may hold up who told.
 */
package dev.slipway.event;
