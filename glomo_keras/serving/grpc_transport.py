"""Requests to TensorFlow Serving's gRPC interface."""

import json
import pathlib

import numpy as np

from glomo_keras.serving.serving_error import ServingError

PAUSES = {
    "initialBackoff": "0.1s",
    "maxBackoff": "5s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


class GrpcTransport:
    """Sends arrays as tensors and reads the answers.

    What gRPC calls UNAVAILABLE, as of a server that restarts, is tried again,
    within the time limit.

    Args:
        connection: `Connection`; its headers are sent as metadata.
    """

    def __init__(self, connection):
        grpc, predict_pb2, services = _import_grpc()
        self._rpc_error = grpc.RpcError
        self._target = connection.server.host
        self._timeout = connection.timeout
        # The names of metadata are in lower case.
        self._metadata = [
            (name.lower(), x) for name, x in connection.headers.items()
        ]
        self._request = predict_pb2.PredictRequest()
        self._request.model_spec.name = connection.model
        if connection.version is not None:
            self._request.model_spec.version.value = connection.version
        if connection.version_label is not None:
            self._request.model_spec.version_label = connection.version_label
        options = _options(connection.retries)
        if connection.server.scheme == "grpcs":
            certificate, key = connection.client_certificate or (None, None)
            credentials = grpc.ssl_channel_credentials(
                *map(_read, (connection.root_certificates, key, certificate))
            )
            self._channel = grpc.secure_channel(
                self._target, credentials, options
            )
        else:
            self._channel = grpc.insecure_channel(self._target, options)
        self._stub = services.PredictionServiceStub(self._channel)

    def predict(self, signature, inputs):
        """Returns a dict of arrays, strings as str.

        Args:
            signature: Name of the signature.
            inputs: Dict of arrays.
        """
        import tensorflow as tf

        request = type(self._request)()
        request.CopyFrom(self._request)
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        try:
            response = self._stub.Predict(
                request, timeout=self._timeout, metadata=self._metadata
            )
        except self._rpc_error as error:
            raise self._translated(error) from error
        return {
            name: _as_array(tf.make_ndarray(tensor))
            for name, tensor in response.outputs.items()
        }

    def close(self):
        self._channel.close()

    def _translated(self, error):
        code, said = error.code().name, error.details()
        if code == "DEADLINE_EXCEEDED":
            return TimeoutError(
                f"{self._target} took longer than {self._timeout} s. "
                f"Received: {said}"
            )
        if code == "UNAVAILABLE":
            return ConnectionError(
                f"{self._target} cannot be reached. Received: {said}"
            )
        return ServingError(f"{self._target} answered {code}: {said}", code)


def _options(retries):
    """Returns a channel's options: no limit of size, the policy of retries."""
    options = {
        "grpc.max_send_message_length": -1,
        "grpc.max_receive_message_length": -1,
        "grpc.enable_retries": int(retries > 0),
    }
    if retries > 0:
        policy = {"maxAttempts": retries + 1, **PAUSES}
        config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
        options["grpc.service_config"] = json.dumps(config)
    return list(options.items())


def _read(path):
    return None if path is None else pathlib.Path(path).read_bytes()


def _as_array(array):
    if array.dtype != object:
        return array
    return np.vectorize(lambda entry: entry.decode("utf-8"), [object])(array)


def _import_grpc():
    try:
        import grpc
        from tensorflow_serving.apis import predict_pb2
        from tensorflow_serving.apis import prediction_service_pb2_grpc
    except ImportError as error:
        raise ImportError(
            "gRPC needs the packages grpcio and tensorflow-serving-api: "
            "pip install 'glomo-keras[client]', or use the server's REST "
            f"interface, http://HOST:8501. Received: {error}"
        ) from error
    return grpc, predict_pb2, prediction_service_pb2_grpc
