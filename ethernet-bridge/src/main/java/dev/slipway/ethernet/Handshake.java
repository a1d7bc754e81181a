package dev.slipway.ethernet;

/** What is said on one connection before frames are; the guest's side begins. Each connection has an object of its own. */
interface Handshake {

    /** Bytes that the next step is about; 0 when all is said and frames follow. */
    int wanted();

    /**
     * Takes the bytes of a step.
     *
     * @param bytes at least {@link #wanted}, from the beginning of the array on
     */
    Step step(byte[] bytes);

    /**
     * What follows from a step.
     *
     * @param answer to the guest's side; may be empty
     * @param refusal why the connection ends after the answer, or null if it goes on
     */
    record Step(byte[] answer, String refusal) {

        static Step goOn(byte[] answer) {
            return new Step(answer, null);
        }
    }

    /** Makes one for each connection. */
    interface Factory {
        Handshake begin();
    }
}
