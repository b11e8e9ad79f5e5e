"""A small part of TensorFlow Serving in Python, for the tests of the client.

It answers predict requests over REST and gRPC in TensorFlow Serving's format,
from the versions that are in the folder when it starts.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import re
import threading

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict")
STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404}
NO_LIMIT = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


class Refusal(Exception):
    """A request that is refused, with the name of a gRPC status."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class Models:
    """Runs the signatures of the SavedModels in `FOLDER/NAME/VERSION`."""

    def __init__(self, folder):
        self._models = {}
        for path in pathlib.Path(folder).glob("*/*/saved_model.pb"):
            name, version = path.parts[-3:-1]
            model = tf.saved_model.load(str(path.parent))
            self._models.setdefault(name, {})[int(version)] = model

    def signature(self, name, version, signature):
        versions = self._models.get(name, {})
        number = max(versions, default=None) if version is None else version
        if number not in versions:
            raise Refusal("NOT_FOUND", f"Servable not found: {name}, {version}")
        signatures = versions[number].signatures
        if (signature or "serving_default") not in list(signatures):
            raise Refusal("INVALID_ARGUMENT", f"{signature!r} not found")
        return signatures[signature or "serving_default"]

    def run(self, function, inputs):
        specs = function.structured_input_signature[1]
        if set(inputs) != set(specs):
            raise Refusal(
                "INVALID_ARGUMENT",
                f"inputs must be {sorted(specs)}, found {sorted(inputs)}",
            )
        try:
            outputs = function(**{k: tf.constant(x) for k, x in inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            raise Refusal("INVALID_ARGUMENT", error.message) from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}


@contextlib.contextmanager
def local_server(folder):
    """Serves a folder of models; yields the REST URL and the gRPC address."""
    models = Models(folder)
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RestHandler)
    rest.models = models
    threading.Thread(
        target=rest.serve_forever, args=(0.01,), daemon=True
    ).start()
    threads = concurrent.futures.ThreadPoolExecutor(2)
    service = grpc.server(threads, options=NO_LIMIT)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        GrpcService(models), service
    )
    port = service.add_insecure_port("127.0.0.1:0")
    service.start()
    try:
        yield f"http://127.0.0.1:{rest.server_port}", f"127.0.0.1:{port}"
    finally:
        service.stop(None).wait()
        rest.shutdown()
        rest.server_close()


class GrpcService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models):
        self._models = models

    def Predict(self, request, context):  # noqa: N802, the name in the protocol
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        inputs = {k: tf.make_ndarray(x) for k, x in request.inputs.items()}
        try:
            function = self._models.signature(
                spec.name, version, spec.signature_name
            )
            outputs = self._models.run(function, inputs)
        except Refusal as refusal:
            context.abort(grpc.StatusCode[refusal.code], refusal.message)
        response = predict_pb2.PredictResponse(model_spec=spec)
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return response


class RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: N802, the name that http.server calls
        document = json.loads(
            self.rfile.read(int(self.headers["Content-Length"]))
        )
        try:
            status, answer = 200, {"outputs": self.outputs(document)}
        except Refusal as refusal:
            status, answer = STATUS[refusal.code], {"error": refusal.message}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def outputs(self, document):
        name, version = PATH.fullmatch(self.path).groups()
        models = self.server.models
        function = models.signature(
            name, version and int(version), document.get("signature_name")
        )
        specs = function.structured_input_signature[1]
        inputs = {
            key: from_json(values, specs[key].dtype.as_numpy_dtype)
            for key, values in document["inputs"].items()
            if key in specs
        }
        outputs = models.run(function, inputs)
        return {key: as_json(array) for key, array in outputs.items()}

    def log_message(self, *arguments):
        pass


def from_json(values, dtype):
    """Returns an array; an object with `b64` is bytes."""
    if dtype is not object:
        return np.array(values, dtype)
    texts = np.empty(len(values), object)
    texts[:] = [
        base64.b64decode(x["b64"]) if isinstance(x, dict) else x.encode()
        for x in values
    ]
    return texts


def as_json(array):
    """Returns lists, floats with the digits that float32 needs."""
    if array.dtype == object:
        return [[entry.decode() for entry in row] for row in array]
    if array.dtype == np.float32:
        return array.astype(str).astype("float64").tolist()
    return array.tolist()
