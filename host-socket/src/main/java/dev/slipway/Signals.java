package dev.slipway;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;

/** Signals of the system that mean something else than the end of the program. */
final class Signals {

    private Signals() {}

    /**
     * Hears a signal instead of ending by it. By reflection: the type is no part of Java, and the compiler warns of it in
     * a way that cannot be switched off.
     *
     * @param name without SIG
     * @param heard run on a thread of the JVM's at each such signal
     * @return false if it cannot be heard here: who started the program had it ignored, as {@code nohup} does with SIGHUP,
     *     and the JVM leaves that as it is
     */
    static boolean hear(String name, Runnable heard) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            InvocationHandler calls = (proxy, method, arguments) -> switch (method.getName()) {
                case "handle" -> {
                    heard.run();
                    yield null;
                }
                case "equals" -> proxy == arguments[0];
                case "hashCode" -> System.identityHashCode(proxy);
                default -> "SIG" + name;
            };
            Object before = signal.getMethod("handle", signal, handler)
                    .invoke(
                            null,
                            signal.getConstructor(String.class).newInstance(name),
                            Proxy.newProxyInstance(handler.getClassLoader(), new Class<?>[] {handler}, calls));
            return before != handler.getField("SIG_IGN").get(null);
        } catch (ReflectiveOperationException | IllegalArgumentException e) {
            return false;
        }
    }
}
