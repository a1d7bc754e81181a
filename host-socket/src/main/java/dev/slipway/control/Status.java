package dev.slipway.control;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What {@code GET /v1/status} tells.
 *
 * @param version of the program
 * @param uptimeMillis since the program was ready
 * @param vms in the order of the settings
 * @param limitations what this host cannot do for its guests, in words
 */
public record Status(String version, long uptimeMillis, List<Vm> vms, List<String> limitations) {

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

    String toJson() {
        JsonText json = new JsonText().begin("{").field("version", version).field("uptimeMillis", uptimeMillis);
        json.key("vms").begin("[");
        for (Vm vm : vms) {
            json.begin("{").field("socket", vm.socket()).field("attached", vm.attached());
            counts(json, "counters", vm.counters());
            counts(json, "drops", vm.drops());
            json.end("}");
        }
        json.end("]").key("limitations").begin("[");
        limitations.forEach(json::value);
        return json.end("]").end("}").toString();
    }

    private static void counts(JsonText json, String name, Map<String, Long> counts) {
        json.key(name).begin("{");
        for (Map.Entry<String, Long> count : counts.entrySet()) {
            json.field(count.getKey(), count.getValue());
        }
        json.end("}");
    }
}
