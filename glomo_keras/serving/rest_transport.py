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

    Lost connections and the statuses `TRANSIENT` are tried again. Neither
    TensorFlow nor gRPC is needed.

    Args:
        connection: `Connection`.
    """

    def __init__(self, connection):
        requests = _import_requests()
        server = connection.server
        path = f"{server.path}/v1/models/{_quoted(connection.model)}"
        if connection.version is not None:
            path += f"/versions/{connection.version}"
        if connection.version_label is not None:
            path += f"/labels/{_quoted(connection.version_label)}"
        query = f"?{server.query}" if server.query else ""
        self.url = f"{server.scheme}://{server.host}{path}:predict{query}"
        # Messages go to logs, which keys and passwords must not.
        self._secrets = [query, server.host.rpartition("@")[0]]
        self._shown = self._without_secrets(self.url)
        self._timeout = connection.timeout
        self._requests = requests
        self._session = requests.Session()
        self._session.headers.update({"Content-Type": "application/json"})
        self._session.headers.update(connection.headers)
        # An argument of each request: REQUESTS_CA_BUNDLE overrides the
        # session's attribute.
        self._verify = connection.root_certificates
        self._session.cert = connection.client_certificate
        policy = _policy(connection.retries)
        adapter = requests.adapters.HTTPAdapter(max_retries=policy)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def predict(self, signature, inputs):
        """Returns a dict of arrays: strings as str, numbers int32 or float32.

        Args:
            signature: Name of the signature.
            inputs: Dict of arrays.
        """
        document = {
            "signature_name": signature,
            "inputs": {name: _as_json(x) for name, x in inputs.items()},
        }
        body = json.dumps(document)
        try:
            response = self._session.post(
                self.url,
                data=body,
                timeout=self._timeout,
                verify=self._verify,
            )
        except self._requests.Timeout as error:
            raise TimeoutError(
                f"{self._shown} took longer than {self._timeout} s. "
                f"Received: {self._without_secrets(str(error))}"
            ) from None
        except self._requests.ConnectionError as error:
            raise ConnectionError(
                f"{self._shown} cannot be reached. "
                f"Received: {self._without_secrets(str(error))}"
            ) from None
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
                f"{self._shown} answered {response.status_code}: {said}",
                response.status_code,
            )
        return {
            name: _as_array(values)
            for name, values in document["outputs"].items()
        }

    def _without_secrets(self, text):
        for secret in filter(None, self._secrets):
            text = text.replace(secret, "...")
        return text


def _quoted(name):
    return urllib.parse.quote(name, safe="")


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
