"""Requests that TensorFlow Serving runs before it serves a version.

They need the message types of TensorFlow Serving, which come only with the
package `tensorflow-serving-api`.
"""

from pathlib import Path

import numpy as np

from glomo_keras.serving.inputs import INPUTS

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def check_package():
    """Raises ImportError where `tensorflow-serving-api` is missing."""
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise ImportError(
            "Warm-up requests need the package tensorflow-serving-api: "
            "pip install tensorflow-serving-api, or export without them "
            "(--no-warmup). "
            f"Received: {error}"
        ) from error
    return prediction_log_pb2


def make_requests(texts, tokenizer, num_weights):
    """One request for each text and signature, and one for all texts.

    Args:
        texts: list of strings.
        tokenizer: `WordTokenizer` with its vocabulary.
        num_weights: N, the weights of a mixture; all terms count alike.

    Returns:
        List of pairs of a signature's name and a dict of its inputs.
    """
    requests = []
    for batch in [*([text] for text in texts), list(texts)]:
        read = tokenizer(batch)
        ids = {name: read[name] for name in INPUTS}
        text = {"text": np.array([entry.encode() for entry in batch], object)}
        weights = {
            "weights": np.full(
                (len(batch), 2, num_weights), 1 / num_weights, "float32"
            )
        }
        requests += [
            ("serving_default", text),
            ("mixture", text | weights),
            ("edges", text),
            ("from_ids", ids),
            ("mixture_from_ids", ids | weights),
            ("edges_from_ids", ids),
        ]
    return requests


def write_requests(folder, model_name, requests):
    """Writes `assets.extra/tf_serving_warmup_requests` in a version's folder.

    Args:
        folder: path of the SavedModel.
        model_name: the name under which it is served.
        requests: list of pairs, see `make_requests`.

    Raises:
        ImportError: without the package `tensorflow-serving-api`.
    """
    import tensorflow as tf

    messages = check_package()
    path = Path(folder) / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            log = messages.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())
