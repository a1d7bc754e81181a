package dev.slipway.ip;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Identifications of fragments: unique for as long as can be, and not to be guessed from those before. */
class FragmentIdsTest {

    private static byte[] secret(long seed) {
        byte[] secret = new byte[16];
        new Random(seed).nextBytes(secret);
        return secret;
    }

    @Test
    void noneComesAgainBeforeAllOthersHave() {
        for (long seed = 0; seed < 3; seed++) {
            FragmentIds ids = new FragmentIds(secret(seed), 16);
            BitSet seen = new BitSet();
            for (int i = 0; i < 65_536; i++) {
                seen.set(ids.next());
            }
            assertThat(seen.cardinality()).isEqualTo(65_536);
            assertThat(seen.length()).isEqualTo(65_536);
        }
    }

    /** Whoever has seen two knows nothing of the third: no difference between neighbours is frequent. */
    @Test
    void differencesOfNeighboursAreEvenlySpread() {
        for (int bits : new int[] {16, 32}) {
            FragmentIds ids = new FragmentIds(secret(7), bits);
            Map<Integer, Integer> differences = new HashMap<>();
            int last = ids.next();
            for (int i = 0; i < 65_535; i++) {
                int id = ids.next();
                differences.merge(id - last & 0xFFFF, 1, Integer::sum);
                last = id;
            }
            assertThat(differences.values().stream().max(Integer::compare).orElseThrow())
                    .as("of %d bits, 65,535 differences over 65,536 values", bits)
                    .isLessThan(16);
            assertThat(differences.size()).isGreaterThan(35_000);
        }
    }

    @Test
    void anotherSecretGivesOthers() {
        FragmentIds one = new FragmentIds(secret(1), 16);
        FragmentIds other = new FragmentIds(secret(2), 16);
        int same = 0;
        for (int i = 0; i < 10_000; i++) {
            if (one.next() == other.next()) {
                same++;
            }
        }
        assertThat(same).isLessThan(10);
    }
}
