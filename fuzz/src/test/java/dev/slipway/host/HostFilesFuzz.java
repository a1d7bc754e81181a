package dev.slipway.host;

import dev.slipway.fuzz.Input;
import dev.slipway.wire.IpAddress;
import java.nio.charset.StandardCharsets;

/** Files and outputs of the host's that say how names are resolved: whatever is in them, something holds. */
public final class HostFilesFuzz {

    private HostFilesFuzz() {}

    public static void fuzzerTestOneInput(byte[] data) {
        Input input = new Input(data);
        int kind = input.u8();
        String text = new String(input.rest(), StandardCharsets.ISO_8859_1);
        switch (kind % 4) {
            case 0 -> {
                ResolvConf conf = ResolvConf.parse(text, 53);
                if (conf.servers().size() > ResolvConf.MAX_SERVERS
                        || conf.search().size() > ResolvConf.MAX_SEARCH) {
                    throw new AssertionError("more than the limits: " + conf);
                }
                if (conf.attempts() < 1 || conf.timeoutSeconds() < 1) {
                    throw new AssertionError("nobody is ever asked: " + conf);
                }
            }
            case 1 -> HostsFile.parse(text, IpAddress.ofV4(0xC0A8_41FE)).addressesOf("a");
            case 2 -> ScutilRules.parse(text);
            default -> ResolverFolder.Entry.parse(text);
        }
    }
}
