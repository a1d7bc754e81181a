package dev.slipway;

/** A setting that cannot be. The message begins with its place: {@code --flag} or {@code FILE:LINE: key}. */
public final class SettingsException extends Exception {

    private static final long serialVersionUID = 1L;

    public SettingsException(String place, String problem) {
        super(place + ": " + problem);
    }
}
