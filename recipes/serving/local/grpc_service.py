"""TensorFlow Serving's PredictionService, as far as predict requests go."""

import concurrent.futures

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from recipes.serving.local.served_models import Refusal

NO_LIMIT = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.so_reuseport", 0),  # a port in use is an error
]


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Runs the signatures of models.

    Args:
        models: `ServedModels`.
    """

    def __init__(self, models):
        self._models = models

    def Predict(self, request, context):  # noqa: N802, the name in the protocol
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        inputs = {
            name: tf.make_ndarray(tensor)
            for name, tensor in request.inputs.items()
        }
        try:
            outputs = self._models.run(
                spec.name, version, spec.signature_name, inputs
            )
        except Refusal as refusal:
            context.abort(grpc.StatusCode[refusal.code], refusal.message)
        response = predict_pb2.PredictResponse(model_spec=spec)
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return response


def start(models, host, port, num_threads):
    """Starts the service.

    Returns:
        The `grpc.Server` and its port.
    """
    threads = concurrent.futures.ThreadPoolExecutor(num_threads)
    server = grpc.server(threads, options=NO_LIMIT)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(models), server
    )
    port = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, port
