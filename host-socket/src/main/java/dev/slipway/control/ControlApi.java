package dev.slipway.control;

/** A family of endpoints. */
public sealed interface ControlApi permits SlipwayApi, ProxyApi, GvproxyApi {

    /**
     * Answers a request, on the control event loop.
     *
     * @return null if the path is none of this family's
     * @throws ApiException if it cannot be done
     */
    ApiResponse answer(ApiRequest request) throws ApiException;
}
