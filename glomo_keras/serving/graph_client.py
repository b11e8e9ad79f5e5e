import math
import numbers

import numpy as np

from glomo_keras.serving import row_batches
from glomo_keras.serving import server_url
from glomo_keras.serving.checks import check_whole
from glomo_keras.serving.grpc_transport import GrpcTransport
from glomo_keras.serving.rest_transport import RestTransport
from glomo_keras.serving.signatures import SIGNATURES
from glomo_keras.utils.validation import as_integers

INPUT_TYPES = {
    "token_ids": "int32",
    "padding_mask": "bool",
    "length": "int32",
    "images": "uint8",
    "weights": "float32",
}
MOST_RETRIES = 4  # gRPC makes five attempts at most
LARGEST_VERSION = 2**63 - 1


class GraphClient:
    """Asks a server for the graphs of texts, ids or images.

    The server is TensorFlow Serving, or one that speaks its protocol, with a
    model that `export_saved_model` wrote. REST sends numbers as text; gRPC is
    several times faster for all graphs of longer texts.

    Long lists are sent in batches, whose answers are padded to the longest
    text of all and put together. Lost connections, and a server that says that
    it is not ready, are tried again after a pause. A client can be used by
    several threads, and is closed at the end of a `with` block.

    Args:
        url: `"http://HOST:8501"` or `https` for REST, `"grpc://HOST:8500"`,
            `"grpcs://..."` (encrypted) or `"HOST:8500"` for gRPC. A URL may go
            on with `/v1/models/NAME`, then `/versions/N` or `/labels/LABEL`,
            and over HTTP with a query such as `?key=...`, which is sent along.
        model: Name of the model on the server. Defaults to that of the URL,
            else `"glomo_small_en"`.
        version: Number of the version. Defaults to that of the URL, else the
            newest on the server.
        version_label: Label of the version, such as `"stable"`, in place of
            its number. Defaults to that of the URL.
        timeout: Seconds that a batch may take; over REST each try. Defaults
            to 30.
        retries: How often a batch is tried again, 0 to 4. Defaults to 3.
        batch_size: Most rows in a request. All graphs of a text of T tokens
            take `8 L K T^2` bytes, and a message has 2 GB at most. Defaults
            to 16.
        headers: Dict of strings, sent as HTTP headers or as gRPC metadata.
            Defaults to none.
        root_certificates: Path of a PEM file, the certificates to trust for
            `https` and `grpcs`. Defaults to those of `requests` or gRPC.
        client_certificate: Pair of paths, the client's certificate and its
            key, for servers that ask for one. Defaults to none.

    Raises:
        ImportError: If a package of the extra `client` is not installed.
        ValueError: If the URL or a number is out of its range.

    Example:

    ```python
    with GraphClient("http://localhost:8501") as client:
        answer = client.edges(["The cat sat on the mat."])
    answer["tokens"]  # (1, T) strings
    answer["forward_edge_sources"]  # (1, L, K, T, k)
    ```
    """

    def __init__(
        self,
        url,
        model=None,
        version=None,
        version_label=None,
        timeout=30.0,
        retries=3,
        batch_size=16,
        headers=None,
        root_certificates=None,
        client_certificate=None,
    ):
        check_whole("retries", retries, 0, MOST_RETRIES)
        check_whole("batch_size", batch_size, 1)
        _check_seconds(timeout)
        server = server_url.parse(url)
        if version is None and version_label is None:
            version, version_label = server.version, server.label
        version = _checked_version(version, version_label)
        _check_certificates(server, root_certificates, client_certificate)
        rest = server.scheme in ("http", "https")
        self.batch_size = batch_size
        connection = server_url.Connection(
            server,
            model=model or server.model or "glomo_small_en",
            version=version,
            version_label=version_label,
            timeout=timeout,
            retries=retries,
            headers=dict(headers or {}),
            root_certificates=root_certificates,
            client_certificate=client_certificate,
        )
        transport = RestTransport if rest else GrpcTransport
        self._transport = transport(connection)

    def graphs(self, given):
        """Asks for all graphs.

        Args:
            given: List of B texts, str or bytes; or dict of arrays: of
                integers `token_ids` `(B, T)` and `padding_mask` `(B, T)` or
                `length` `(B,)`, or of `images` `(B, H, W, C)`, integers from
                0 to 255. Take `length` for a server that pads what it
                batches.

        Returns:
            Dict of arrays, `forward_graphs` and `backward_graphs`
            `(B, L, K, T, T)`, and of texts also `tokens` (str) `(B, T)`,
            `token_offsets` `(B, T, 2)` and `length` `(B,)`: `text[start:end]`
            is a token, where bytes that are not UTF-8 count as in
            `bytes.decode("utf-8", "replace")`.

        Raises:
            ConnectionError: If the server cannot be reached.
            ServingError: If the server refuses; it says why.
            TimeoutError: If a batch takes too long.
            ValueError: If there are no rows, or arrays of different lengths.
        """
        return self._ask(0, given)

    def mixture(self, given, weights):
        """Asks for one graph for each direction, mixed with weights.

        Args:
            given: See `graphs`.
            weights: Array `(B, 2, N)`, or `(2, N)` for all rows; used as
                they are. `export_saved_model` has the order of the N terms.

        Returns:
            As `graphs`, but `forward_mixture`, `backward_mixture` `(B, T, T)`.

        Raises:
            See `graphs`.
        """
        weights = np.asarray(weights, INPUT_TYPES["weights"])
        if weights.ndim == 2:
            weights = weights[None]
        return self._ask(1, given, weights=weights)

    def edges(self, given):
        """Asks for the strongest edges of each position.

        Args:
            given: See `graphs`.

        Returns:
            As `graphs`, but sources and weights `(B, L, K, T, k)`:
            `forward_edge_sources`, `forward_edge_weights` and `backward_...`.
            Where there are fewer than k, source -1 and weight 0 follow.

        Raises:
            See `graphs`.
        """
        return self._ask(2, given)

    def predict(self, signature, inputs):
        """Returns the answer of any signature, in batches.

        Args:
            signature: Its name.
            inputs: Dict of arrays with the same number of rows; an array of
                one row is repeated for all.

        Returns:
            Dict of arrays.

        Raises:
            See `graphs`.
        """
        arrays = {name: _as_array(name, x) for name, x in inputs.items()}
        rows = row_batches.count_rows(arrays)
        answers = []
        for batch in row_batches.rows_of(arrays, rows, self.batch_size):
            answer = self._transport.predict(signature, batch)
            answers.append(row_batches.without_padding(answer, batch))
        return row_batches.put_together(answers)

    def close(self):
        """Closes the connections."""
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _ask(self, index, given, **more):
        if isinstance(given, str | bytes):
            raise ValueError(
                "Give a list of texts, even for a single one. "
                f"Received: a text of type {type(given).__name__}"
            )
        if not isinstance(given, dict):
            given = {"text": given}
        for names, signatures in SIGNATURES.items():
            if set(names) == set(given):
                return self.predict(signatures[index], {**given, **more})
        raise ValueError(
            "Give a list of texts, or a dict with the names of one of "
            f"{list(SIGNATURES)}. Received: names {sorted(given)}"
        )


def _check_seconds(timeout):
    number = isinstance(timeout, numbers.Real) and not isinstance(timeout, bool)
    if not number or not 0 < timeout < math.inf:
        raise ValueError(
            f"`timeout` must be positive. Received: timeout={timeout!r}"
        )


def _checked_version(version, version_label):
    """Returns the version as int or None."""
    if version_label is not None:
        named = isinstance(version_label, str) and version_label
        if not named or version is not None:
            raise ValueError(
                "`version_label` must be a string, and stands in place of "
                f"`version`. Received: version_label={version_label!r}, "
                f"version={version!r}"
            )
    if version is None:
        return None
    check_whole("version", version, 0, LARGEST_VERSION)
    return int(version)


def _check_certificates(server, *certificates):
    if any(certificates) and server.scheme in ("http", "grpc"):
        raise ValueError(
            "Certificates are for https:// and grpcs://. "
            f"Received: a URL with {server.scheme}://"
        )


def _as_array(name, values):
    if name != "text":
        dtype = INPUT_TYPES.get(name)
        if dtype in ("int32", "uint8"):
            return as_integers(name, values, dtype)
        return np.asarray(values, dtype)
    texts = np.empty(len(values), object)
    texts[:] = list(values)
    for text in texts:
        if not isinstance(text, str | bytes):
            raise ValueError(
                "A text must be str or bytes. "
                f"Received: {text!r} of type {type(text).__name__}"
            )
    return texts
