package dev.slipway;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaAccess.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.name;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.nameMatching;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.time.Clock;
import java.util.Arrays;
import java.util.Date;
import java.util.Timer;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The boundaries of the modules and packages. Maven keeps the modules apart; this keeps what Maven cannot see: which part
 * of the JDK a package may touch, and which package of the same module.
 */
class ArchitectureTest {
    /** Bytes in, bytes out. */
    private static final String[] STACK_CORE =
            packages("wire", "time", "seam", "ip", "icmp", "tcp", "udp", "dhcp", "dns", "stack");

    /** Where frames come from. */
    private static final String[] ETHERNET_BRIDGE = packages("ethernet", "posix", "virtio", "tap", "vhost", "lan");

    /** Where flows go to. The root package holds the command line. */
    private static final String[] HOST_SOCKET = {
        "dev.slipway",
        "dev.slipway.host..",
        "dev.slipway.queue..",
        "dev.slipway.egress..",
        "dev.slipway.proxy..",
        "dev.slipway.publish..",
        "dev.slipway.engine..",
        "dev.slipway.control..",
        "dev.slipway.event..",
        "dev.slipway.probe.."
    };

    private static JavaClasses slipway;

    private static String[] packages(String... names) {
        return Arrays.stream(names).map(name -> "dev.slipway." + name + "..").toArray(String[]::new);
    }

    @BeforeAll
    static void readClasses() {
        slipway = new ClassFileImporter()
                .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                .withImportOption(location -> !location.contains("-tests.jar"))
                .importPackages("dev.slipway");
    }

    private static void check(ArchRule rule) {
        rule.allowEmptyShould(true).check(slipway);
    }

    @Test
    void everyPackageBelongsToAModule() {
        check(classes()
                .should()
                .resideInAnyPackage(concat(STACK_CORE, ETHERNET_BRIDGE, HOST_SOCKET, packages("benchmarks"))));
    }

    @Test
    void stackCoreUsesNothingButTheJdk() {
        check(classes()
                .that()
                .resideInAnyPackage(STACK_CORE)
                .should()
                .onlyDependOnClassesThat(resideInAnyPackage(concat(STACK_CORE, new String[] {"java..", ""}))));
    }

    @Test
    void stackCoreOpensNoSocketAndNoFile() {
        check(noClasses()
                .that()
                .resideInAnyPackage(STACK_CORE)
                .should()
                .dependOnClassesThat(resideInAnyPackage("java.net..", "java.nio.channels..", "java.nio.file..")
                        .or(nameMatching("java\\.io\\.(File|RandomAccess|Print|Console).*"))));
    }

    @Test
    void stackCoreStartsNoThreadAndTakesNoLock() {
        check(noClasses()
                .that()
                .resideInAnyPackage(STACK_CORE)
                .should()
                .dependOnClassesThat(resideInAnyPackage("java.util.concurrent..")
                        .and(not(belongToAnyOf(TimeUnit.class)))
                        .or(belongToAnyOf(Thread.class, ThreadLocal.class, Timer.class))));
    }

    @Test
    void stackCoreReadsNoClock() {
        check(noClasses()
                .that()
                .resideInAnyPackage(STACK_CORE)
                .should()
                .accessTargetWhere(target(owner(belongToAnyOf(System.class)))
                        .and(target(name("nanoTime").or(name("currentTimeMillis"))))
                        .or(target(owner(resideInAnyPackage("java.time.."))).and(target(name("now")))))
                .orShould()
                .dependOnClassesThat(belongToAnyOf(Clock.class, Date.class)));
    }

    @Test
    void stackCorePrintsNothing() {
        check(noClasses()
                .that()
                .resideInAnyPackage(STACK_CORE)
                .should()
                .accessField(System.class, "out")
                .orShould()
                .accessField(System.class, "err")
                .orShould()
                .dependOnClassesThat(resideInAnyPackage("java.util.logging..")));
    }

    @Test
    void ethernetBridgeDoesNotKnowWhereFlowsGo() {
        check(noClasses()
                .that()
                .resideInAnyPackage(ETHERNET_BRIDGE)
                .should()
                .dependOnClassesThat(resideInAnyPackage(HOST_SOCKET)));
    }

    @Test
    void wireTypesKnowNoStack() {
        check(classes()
                .that()
                .resideInAPackage("dev.slipway.wire..")
                .should()
                .onlyDependOnClassesThat(resideInAnyPackage("dev.slipway.wire..", "java..", "")));
    }

    @Test
    void onlyTheRootPackageKnowsTheCommandLine() {
        check(noClasses()
                .that()
                .resideOutsideOfPackage("dev.slipway")
                .should()
                .dependOnClassesThat(resideInAnyPackage("picocli..")));
    }

    @Test
    void packagesFormNoCycles() {
        check(slices().matching("dev.slipway.(**)").should().beFreeOfCycles());
    }

    @Test
    void noPackageIsADrawerForOddsAndEnds() {
        check(noClasses()
                .should()
                .resideInAnyPackage("..util..", "..utils..", "..common..", "..impl..", "..helper..", "..manager.."));
    }

    @Test
    void everyPackageSaysWhatItIsFor() {
        TreeSet<String> silent = slipway.stream()
                .map(JavaClass::getPackage)
                .filter(aPackage -> aPackage.tryGetPackageInfo().isEmpty())
                .map(JavaPackage::getName)
                .collect(Collectors.toCollection(TreeSet::new));
        assertThat(silent).as("packages without a package-info").isEmpty();
    }

    private static String[] concat(String[]... arrays) {
        return Arrays.stream(arrays).flatMap(java.util.Arrays::stream).toArray(String[]::new);
    }
}
