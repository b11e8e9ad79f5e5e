"""Requests that TensorFlow Serving runs before it serves a version.

They need the message types of TensorFlow Serving, which come only with the
package `tensorflow-serving-api`.
"""

from pathlib import Path

import numpy as np

from glomo_keras.serving import signatures
from glomo_keras.serving.inputs import TEXT_INPUTS

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


def text_batches(texts, tokenizer, max_length, max_characters):
    """Inputs of requests: each text for itself, then all of them.

    Args:
        texts: list of strings.
        tokenizer: `WordTokenizer` with its vocabulary.
        max_length, max_characters: the limits of the export, or None.

    Returns:
        List of pairs of the signatures' names and a dict of their inputs.

    Raises:
        ImportError: without the package `tensorflow-serving-api`.
        ValueError: without a tokenizer, or if a text is beyond a limit.
    """
    check_package()
    if tokenizer is None:
        raise ValueError(
            "Warm-up texts need a tokenizer. Received: tokenizer=None"
        )
    units = tokenizer(texts)["token_ids"].shape[1]
    _check_limit("max_length", max_length, units, "tokens")
    characters = max(map(len, texts))
    _check_limit("max_characters", max_characters, characters, "characters")
    batches = []
    for batch in [*([text] for text in texts), list(texts)]:
        read = tokenizer(batch)
        text = np.array([entry.encode() for entry in batch], object)
        ids = {name: read[name] for name in TEXT_INPUTS}
        batches.append((signatures.NAMES, {"text": text}))
        batches.append((signatures.NAMES_FROM_IDS, ids))
    return batches


def image_batches(images, max_length):
    """Inputs of requests: each image for itself, then all of them.

    Args:
        images: array `(n, H, W, C)`.
        max_length: int or None.

    Returns:
        List of pairs, see `text_batches`.

    Raises:
        ImportError, ValueError: see `text_batches`.
    """
    check_package()
    images = np.asarray(images)
    pixels = images.shape[1] * images.shape[2]
    _check_limit("max_length", max_length, pixels, "pixels")
    return [
        (signatures.NAMES, {"images": batch})
        for batch in [*(image[None] for image in images), images]
    ]


def write_requests(folder, model_name, batches, weights_shape):
    """Writes `assets.extra/tf_serving_warmup_requests` in a version's folder.

    A request for each batch and signature; in a mixture all terms count alike.

    Args:
        folder: path of the SavedModel.
        model_name: the name under which it is served.
        batches: list of pairs, see `text_batches`.
        weights_shape: `(R, N)`, directions and weights of a mixture.

    Raises:
        ImportError: without the package `tensorflow-serving-api`.
    """
    import tensorflow as tf

    messages = check_package()
    path = Path(folder) / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    weights = np.full((1, *weights_shape), 1 / weights_shape[1], "float32")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for names, inputs in batches:
            given = (inputs, {**inputs, "weights": weights}, inputs)
            for signature, arrays in zip(names, given, strict=True):
                log = messages.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = model_name
                request.model_spec.signature_name = signature
                for name, value in arrays.items():
                    request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
                writer.write(log.SerializeToString())


def _check_limit(name, limit, found, unit):
    if limit is not None and found > limit:
        raise ValueError(
            f"A warm-up request must have at most {name}={limit} {unit}. "
            f"Received: one with {found} {unit}"
        )
