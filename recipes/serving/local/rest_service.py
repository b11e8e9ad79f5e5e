"""TensorFlow Serving's REST interface, as far as predict requests go."""

import base64
import http.server
import json
import re
import threading

import numpy as np

from recipes.serving.local.served_models import Refusal

PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+))?"
    r"(?P<predict>:predict)?"
)
STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "INTERNAL": 500}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection; `server.models` are the models."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: N802, the name that http.server calls
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(predict, body)

    def do_GET(self):  # noqa: N802
        self._answer(model_status)

    def _answer(self, function, *arguments):
        try:
            match = PATH.fullmatch(self.path)
            if match is None:
                raise Refusal("INVALID_ARGUMENT", "Malformed request")
            status, document = (
                200,
                function(self.server.models, match, *arguments),
            )
        except Refusal as refusal:
            status, document = STATUS[refusal.code], {"error": refusal.message}
        body = (json.dumps(document, ensure_ascii=False) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Says nothing."""


def predict(models, match, body):
    """The document that answers a predict request.

    Args:
        models: `ServedModels`.
        match: match of `PATH`.
        body: bytes, a document with `inputs`, in columns.
    """
    try:
        document = json.loads(body)
    except ValueError as error:
        raise Refusal(
            "INVALID_ARGUMENT", f"JSON Parse error: {error}"
        ) from None
    if not isinstance(document, dict) or "inputs" not in document:
        raise Refusal("INVALID_ARGUMENT", "Missing 'inputs' key")
    version = match["version"] and int(match["version"])
    which = match["name"], version, document.get("signature_name", "")
    specs, inputs = models.specs(*which), document["inputs"]
    if not isinstance(inputs, dict):  # the only input needs no name
        inputs = dict.fromkeys(specs, inputs)
    arrays = {
        name: as_array(name, values, specs[name].dtype.as_numpy_dtype)
        for name, values in inputs.items()
        if name in specs
    }
    outputs = models.run(*which, arrays)
    return {"outputs": {name: as_json(x) for name, x in outputs.items()}}


def model_status(models, match):
    """The document that says which versions there are."""
    versions = models.names().get(match["name"])
    if versions is None:
        raise Refusal("NOT_FOUND", f"Could not find model {match['name']}")
    return {
        "model_version_status": [
            {"version": str(number), "state": "AVAILABLE"}
            for number in versions
        ]
    }


def as_array(name, values, dtype):
    """Values of JSON as an array; an object with `b64` is bytes."""
    try:
        if dtype is not object:
            return np.array(values, dtype)
        array = np.array(values, object)
        flat = [
            base64.b64decode(value["b64"])
            if isinstance(value, dict)
            else value.encode()
            for value in array.ravel()
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Refusal("INVALID_ARGUMENT", f"{name}: {error}") from None
    strings = np.empty(len(flat), object)
    strings[:] = flat
    return strings.reshape(array.shape)


def as_json(array):
    """An array as lists, floats with the digits that float32 needs."""
    if array.dtype == object:
        decode = np.vectorize(lambda x: x.decode("utf-8", "replace"), [object])
        return decode(array).tolist()
    if array.dtype == np.float32:
        return array.astype(str).astype("float64").tolist()
    return array.tolist()


def start(models, host, port):
    """Starts the service in a thread of its own.

    Returns:
        The `http.server.ThreadingHTTPServer`.
    """
    server = http.server.ThreadingHTTPServer((host, port), Handler)
    server.models = models
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
