"""Requests that TensorFlow Serving runs before it serves a version.

They need the message types of TensorFlow Serving, which come only with the
package `tensorflow-serving-api`.
"""

from pathlib import Path

import numpy as np

from glomo_keras.serving.signatures import SIGNATURES
from glomo_keras.serving.signatures import TEXT_INPUTS
from glomo_keras.utils.validation import as_integers
from glomo_keras.utils.validation import check_rank

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def text_batches(texts, tokenizer, max_length, max_characters):
    """Returns the inputs of requests: of each text, then of all together.

    Args:
        texts: List of strings.
        tokenizer: `WordTokenizer` with its vocabulary.
        max_length: The limit of the export, or None.
        max_characters: The limit of the export, or None.

    Returns:
        List of dicts of arrays.

    Raises:
        ImportError: If the package `tensorflow-serving-api` is missing.
        ValueError: If there is no tokenizer, or a text is beyond a limit.
    """
    if tokenizer is None:
        raise ValueError(
            "Warm-up texts need a tokenizer. Received: tokenizer=None"
        )
    length = tokenizer(texts)["token_ids"].shape[1]
    _check_limit("max_length", max_length, length, "tokens")
    characters = max(map(len, texts))
    _check_limit("max_characters", max_characters, characters, "characters")
    _import_messages()
    batches = []
    for batch in [*([text] for text in texts), list(texts)]:
        read = tokenizer(batch)
        arrays = {name: np.asarray(read[name]) for name in TEXT_INPUTS}
        arrays["length"] = arrays["padding_mask"].sum(1, dtype="int32")
        arrays["text"] = np.array([text.encode() for text in batch], object)
        batches.append(arrays)
    return batches


def image_batches(images, max_length, channels):
    """Returns the inputs of requests: of each image, then of all together.

    Args:
        images: Integer array `(n, H, W, C)`, values from 0 to 255.
        max_length: The limit of the export, or None.
        channels: Integer C, the predictor's.

    Returns:
        List of dicts of arrays.

    Raises:
        ImportError: If the package `tensorflow-serving-api` is missing.
        ValueError: If the images are not such an array, or exceed the limit.
    """
    images = as_integers("images", images, "uint8")
    check_rank("images", images.shape, 4, "(n, H, W, C)")
    if 0 in images.shape:
        raise ValueError(
            "`images` for the warm-up must not be empty. "
            f"Received: shape {images.shape}"
        )
    if images.shape[3] != channels:
        raise ValueError(
            f"`images` must have the predictor's {channels} channels. "
            f"Received: shape {images.shape}"
        )
    pixels = images.shape[1] * images.shape[2]
    _check_limit("max_length", max_length, pixels, "pixels")
    _import_messages()
    return [{"images": x} for x in [*(image[None] for image in images), images]]


def write_requests(folder, model_name, batches, weights_shape):
    """Writes `assets.extra/tf_serving_warmup_requests` in a version's folder.

    Each batch becomes a request to each signature that takes such inputs. All
    terms of a mixture have the same weight.

    Args:
        folder: The folder of the SavedModel.
        model_name: The name under which it is served.
        batches: List of dicts of arrays.
        weights_shape: `(R, N)`, directions and weights of a mixture.
    """
    import tensorflow as tf

    path = Path(folder) / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    weights = np.full(weights_shape, 1 / weights_shape[1], "float32")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for arrays in batches:
            rows = len(next(iter(arrays.values())))
            mixture = {"weights": np.repeat(weights[None], rows, 0)}
            for names, signatures in SIGNATURES.items():
                if not set(names) <= set(arrays):
                    continue
                inputs = {name: arrays[name] for name in names}
                for signature, more in zip(
                    signatures, ({}, mixture, {}), strict=True
                ):
                    log = _request(model_name, signature, inputs | more)
                    writer.write(log.SerializeToString())


def _request(model_name, signature, arrays):
    import tensorflow as tf

    log = _import_messages().PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    for name, value in arrays.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return log


def _import_messages():
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise ImportError(
            "Warm-up requests need the package tensorflow-serving-api: "
            "pip install tensorflow-serving-api (the extra `serving`), or "
            "leave warmup_texts and warmup_images out (--no-warmup of the "
            "recipe). "
            f"Received: {error}"
        ) from error
    return prediction_log_pb2


def _check_limit(name, limit, found, unit):
    if limit is not None and found > limit:
        raise ValueError(
            f"A warm-up request must have at most {name}={limit} {unit}. "
            f"Received: one with {found} {unit}"
        )
