package dev.slipway;

import dev.slipway.egress.EgressPolicy;
import dev.slipway.ethernet.VmChannel;
import java.util.List;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads the policy again while VMs run. One that cannot be used, or is not there, leaves the one before. */
final class PolicyReload {

    private static final Logger LOG = LoggerFactory.getLogger(PolicyReload.class);

    private final List<VmChannel> vms;
    private final Consumer<EgressPolicy> changed;

    /** @param changed told of each policy that was read */
    PolicyReload(List<VmChannel> vms, Consumer<EgressPolicy> changed) {
        this.vms = vms;
        this.changed = changed;
    }

    /** Reads what settings name now. */
    void read(SettingSource source) {
        try {
            if (PolicyFile.file(source).isEmpty()) {
                return;
            }
            EgressPolicy policy = PolicyFile.from(source, vms);
            changed.accept(policy);
            LOG.info(
                    "policy read again: {} rules, the rest is {}",
                    policy.rules().size(),
                    policy.allowRest() ? "allowed" : "denied");
        } catch (SettingsException e) {
            LOG.error("policy read again, and not used; the one before stays: {}", e.getMessage());
        } catch (RuntimeException e) {
            LOG.error("policy cannot be read again; the one before stays", e);
        }
    }
}
