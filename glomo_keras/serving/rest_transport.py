"""Requests to TensorFlow Serving's REST interface."""

import base64
import json
import urllib.parse

import numpy as np

from glomo_keras.serving.serving_error import ServingError

# Too many requests; and what a gateway says of a server that is not up.
TRANSIENT = (429, 502, 503, 504)
FIRST_PAUSE = 0.1  # seconds, doubled with each try


class RestTransport:
    """Sends arrays as JSON and reads the answers.

    Lost connections and the answers `TRANSIENT` are tried again. Neither
    TensorFlow nor gRPC is needed.

    Args:
        base: string, the URL before `/v1`.
        model, version, timeout, retries: see `GraphClient`.
    """

    def __init__(self, base, model, version, timeout, retries):
        requests = _import_requests()
        name = urllib.parse.quote(model, safe="")
        number = "" if version is None else f"/versions/{version}"
        self.url = f"{base}/v1/models/{name}{number}:predict"
        self._timeout = timeout
        self._requests = requests
        self._session = requests.Session()
        adapter = requests.adapters.HTTPAdapter(max_retries=_policy(retries))
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def predict(self, signature, inputs):
        """A dict of arrays; strings as str, numbers as int32 or float32."""
        document = {
            "signature_name": signature,
            "inputs": {name: _as_json(x) for name, x in inputs.items()},
        }
        try:
            response = self._session.post(
                self.url,
                data=json.dumps(document),
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
            )
        except self._requests.Timeout as error:
            raise TimeoutError(
                f"{self.url} took longer than {self._timeout} s. "
                f"Received: {error}"
            ) from error
        except self._requests.ConnectionError as error:
            raise ConnectionError(
                f"{self.url} cannot be reached. Received: {error}"
            ) from error
        return self._read(response)

    def close(self):
        self._session.close()

    def _read(self, response):
        try:
            document = response.json()
            said = document.get("error", document)
        except (ValueError, AttributeError):
            document, said = {}, response.text
        if not response.ok or not isinstance(document.get("outputs"), dict):
            raise ServingError(
                f"{self.url} answered {response.status_code}: {said}",
                response.status_code,
            )
        return {
            name: _as_array(values)
            for name, values in document["outputs"].items()
        }


def _policy(retries):
    """Pauses and tries again, but not once the time limit has passed."""
    from urllib3.exceptions import ReadTimeoutError
    from urllib3.util import Retry

    class UntilTimeout(Retry):
        def increment(self, *arguments, error=None, **options):
            if isinstance(error, ReadTimeoutError):
                raise error
            return super().increment(*arguments, error=error, **options)

    return UntilTimeout(
        total=retries,
        status_forcelist=TRANSIENT,
        allowed_methods=["POST"],  # asking twice changes nothing here
        backoff_factor=FIRST_PAUSE,
        raise_on_status=False,
    )


def _as_json(array):
    if array.dtype != object:
        return array.tolist()
    return [
        {"b64": base64.b64encode(entry).decode()}
        if isinstance(entry, bytes)
        else entry
        for entry in array
    ]


def _as_array(values):
    array = np.array(values)
    if array.dtype.kind == "U":
        return np.array(values, object)
    return array.astype("int32" if array.dtype.kind == "i" else "float32")


def _import_requests():
    try:
        import requests
    except ImportError as error:
        raise ImportError(
            "The client needs the packages requests and urllib3: "
            f"pip install 'glomo-keras[client]'. Received: {error}"
        ) from error
    return requests
