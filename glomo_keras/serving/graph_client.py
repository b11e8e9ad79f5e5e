import numpy as np

from glomo_keras.serving import row_batches
from glomo_keras.serving import server_url
from glomo_keras.serving.grpc_transport import GrpcTransport
from glomo_keras.serving.inputs import TEXT_INPUTS
from glomo_keras.serving.rest_transport import RestTransport
from glomo_keras.serving.signatures import NAMES
from glomo_keras.serving.signatures import NAMES_FROM_IDS

INPUT_TYPES = {
    "token_ids": "int32",
    "padding_mask": "bool",
    "images": "uint8",
    "weights": "float32",
}
MOST_RETRIES = 4  # gRPC makes five attempts at most


class GraphClient:
    """Asks a server for the graphs of texts, ids or images.

    The server is TensorFlow Serving, or one that speaks as it does, with a
    model that `export_saved_model` wrote. REST sends numbers as text; gRPC is
    several times faster for all graphs of longer texts.

    Long lists are sent in batches, whose answers are padded to the longest
    text of all and put together. Lost connections, and a server that says that
    it is not ready, are tried again after a pause. A client can be used by
    several threads, and is closed at the end of a `with` block.

    Args:
        url: `"http://HOST:8501"` or `https` for REST, `"grpc://HOST:8500"`,
            `"grpcs://..."` (encrypted) or `"HOST:8500"` for gRPC. A URL may go
            on with `/v1/models/NAME/versions/N`.
        model: name of the model on the server; by default that of the URL, or
            `"glomo_small_en"`.
        version: int, its version; by default the newest on the server.
        timeout: float, seconds that a batch may take; over REST each try.
        retries: int, 0 to 4, how often a batch is tried again.
        batch_size: int, most rows in a request. All graphs of a text of T
            tokens take `8 L K T^2` bytes, and a message has 2 GB at most.

    Raises:
        ImportError: if a package of the extra `client` is not installed.
        ValueError: if the URL or a number is out of its range.

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
        timeout=30.0,
        retries=3,
        batch_size=16,
    ):
        _check_range("retries", retries, 0, MOST_RETRIES)
        _check_range("batch_size", batch_size, 1, None)
        if not timeout > 0:
            raise ValueError(
                f"`timeout` must be positive. Received: timeout={timeout!r}"
            )
        server = server_url.parse(url)
        options = {
            "model": model or server.model or "glomo_small_en",
            "version": server.version if version is None else version,
            "timeout": timeout,
            "retries": retries,
        }
        self.batch_size = batch_size
        if server.scheme in ("http", "https"):
            base = f"{server.scheme}://{server.host}{server.path}"
            self._transport = RestTransport(base, **options)
        else:
            secure = server.scheme == "grpcs"
            self._transport = GrpcTransport(server.host, secure, **options)

    def graphs(self, given):
        """All graphs.

        Args:
            given: list of B texts, str or bytes; or dict of arrays, of
                `token_ids` and `padding_mask` `(B, T)`, or of `images`
                `(B, H, W, C)`.

        Returns:
            Dict of arrays, `forward_graphs` and `backward_graphs`
            `(B, L, K, T, T)`, and of texts also `tokens` (str) `(B, T)`,
            `token_offsets` `(B, T, 2)` and `length` `(B,)`: `text[start:end]`
            is a token, where bytes that are no UTF-8 count as in
            `bytes.decode("utf-8", "replace")`.

        Raises:
            ConnectionError: if the server cannot be reached.
            ServingError: if the server refuses; it says why.
            TimeoutError: if a batch takes too long.
            ValueError: if there are no rows, or arrays of different lengths.
        """
        return self._ask(0, given)

    def mixture(self, given, weights):
        """One graph for each direction, mixed with weights.

        Args:
            given: see `graphs`.
            weights: array `(B, 2, N)`, or `(2, N)` for all rows; used as
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
        """The strongest edges of each unit.

        Args:
            given: see `graphs`.

        Returns:
            As `graphs`, but sources and weights `(B, L, K, T, k)`:
            `forward_edge_sources`, `forward_edge_weights` and `backward_...`.
            Where there are fewer than k, source -1 and weight 0 follow.

        Raises:
            See `graphs`.
        """
        return self._ask(2, given)

    def predict(self, signature, inputs):
        """The answer of any signature, in batches.

        Args:
            signature: string.
            inputs: dict of arrays with the same number of rows; those with
                one row go with every batch.

        Returns:
            Dict of arrays.

        Raises:
            See `graphs`.
        """
        arrays = {name: _as_array(name, x) for name, x in inputs.items()}
        rows = row_batches.count_rows(arrays)
        answers = [
            self._transport.predict(
                signature,
                row_batches.rows_of(arrays, start, start + self.batch_size),
            )
            for start in range(0, rows, self.batch_size)
        ]
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
                "Give a list of texts, also of one. "
                f"Received: a text of type {type(given).__name__}"
            )
        if not isinstance(given, dict):
            given = {"text": given}
        names = NAMES_FROM_IDS if TEXT_INPUTS[0] in given else NAMES
        return self.predict(names[index], {**given, **more})


def _check_range(name, value, smallest, largest):
    if value < smallest or (largest is not None and value > largest):
        limit = "more" if largest is None else f"up to {largest}"
        raise ValueError(
            f"`{name}` must be {smallest} or {limit}. "
            f"Received: {name}={value!r}"
        )


def _as_array(name, values):
    if name != "text":
        return np.asarray(values, INPUT_TYPES.get(name))
    texts = np.empty(len(values), object)
    texts[:] = list(values)
    for text in texts:
        if not isinstance(text, str | bytes):
            raise ValueError(
                "A text must be str or bytes. "
                f"Received: {text!r} of type {type(text).__name__}"
            )
    return texts
