package dev.slipway.event;

import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Something that happened.
 *
 * @param number 1 for the first of this process
 * @param time by the wall clock
 * @param kind what it was
 * @param facts texts and numbers by name, in an order for people
 */
public record Event(long number, Instant time, Kind kind, Map<String, Object> facts) {

    public Event {
        facts = Collections.unmodifiableMap(new LinkedHashMap<>(facts));
    }

    /** What can happen, and what is told of it. */
    public enum Kind {
        /** VMs can attach. Nothing more is told. */
        READY,
        /** A guest is connected to its channel: {@code vm}. */
        VM_ATTACHED,
        /** The first frame of a guest since it attached: {@code vm}, {@code mac}. */
        VM_SEEN,
        /** A guest is connected no more: {@code vm}, {@code reason}, and {@code mac} if it was seen. */
        VM_DETACHED,
        /** A port listens: {@code protocol}, {@code local}, {@code remote}, {@code owner}. */
        PORT_PUBLISHED,
        /** A port listens no more: the same. */
        PORT_UNPUBLISHED,
        /** A port is wanted that cannot be had, and will be tried again: the same, and {@code failure}. */
        PORT_REFUSED,
        /** A container engine answers: {@code engine}. */
        ENGINE_CONNECTED,
        /** A container engine does not, or makes no sense: {@code engine}, {@code problem}. */
        ENGINE_LOST;

        /** Its name as the API has it: lower case, with hyphens. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT).replace('_', '-');
        }
    }
}
