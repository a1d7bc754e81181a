package dev.slipway.control;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What {@code GET /v1/status} tells.
 *
 * @param version of the program
 * @param uptimeMillis since the program was ready
 * @param sandbox what the process has taken from itself, in a few words
 * @param vms in the order of the settings
 * @param limitations what this host cannot do for its guests, in words
 */
public record Status(String version, long uptimeMillis, String sandbox, List<Vm> vms, List<String> limitations) {

    public Status {
        limitations = List.copyOf(limitations);
        vms = List.copyOf(vms);
    }

    /**
     * One VM.
     *
     * @param socket its frame socket, scheme and path
     * @param attached whether a guest is connected
     * @param counters what the link and the host's sockets have counted, by name
     * @param drops what was dropped, by reason; those that never happened are left out
     */
    public record Vm(String socket, boolean attached, Map<String, Long> counters, Map<String, Long> drops) {

        public Vm {
            counters = new TreeMap<>(counters);
            drops = new TreeMap<>(drops);
        }
    }

    /** As JSON, in maps and lists. */
    Map<String, Object> toJson() {
        List<Map<String, Object>> machines = new ArrayList<>();
        for (Vm vm : vms) {
            Map<String, Object> machine = new LinkedHashMap<>();
            machine.put("socket", vm.socket());
            machine.put("attached", vm.attached());
            machine.put("counters", vm.counters());
            machine.put("drops", vm.drops());
            machines.add(machine);
        }
        Map<String, Object> status = new LinkedHashMap<>();
        status.put("version", version);
        status.put("uptimeMillis", uptimeMillis);
        status.put("sandbox", sandbox);
        status.put("vms", machines);
        status.put("limitations", limitations);
        return status;
    }
}
