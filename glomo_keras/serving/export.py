"""A frozen graph predictor as a SavedModel, ready for TensorFlow Serving.

TensorFlow is imported inside the functions, so that the package can be
imported without it.
"""

import tempfile
from pathlib import Path

import keras

INPUTS = ("token_ids", "padding_mask")
OUTPUTS = ("forward_graphs", "backward_graphs")
SIGNATURES = ("serving_default", "from_ids")
VOCABULARY = Path("assets.extra") / "vocabulary.txt"


def export_saved_model(predictor, path, version=1):
    """Writes `path/version/`, a SavedModel of a graph predictor.

    The signature `serving_default`, and the same as `from_ids`, takes
    `token_ids` int32 `(B, T)` and `padding_mask` bool `(B, T)`, True = real
    unit, and gives `forward_graphs` and `backward_graphs` `(B, L, K, T, T)`;
    B and T are free. It runs in inference mode, with core TensorFlow ops
    only: neither Keras nor this package is needed to load it.

    The folder appears complete or not at all: it is written under a hidden
    name in `path`, then renamed. A process that is killed on the way may leave
    that hidden folder, which TensorFlow Serving does not look at.

    Args:
        predictor: functional `keras.Model` with these inputs and outputs as
            dicts, such as `GraphPredictor`. If it has an attribute
            `vocabulary`, a list of strings, that is written to
            `assets.extra/vocabulary.txt`, one token per line.
        path: path of the folder of all versions; made if missing.
        version: non-negative int.

    Returns:
        The `pathlib.Path` of the version's folder.

    Raises:
        FileExistsError: if the version is there already.
        RuntimeError: if Keras does not run on TensorFlow.
        ValueError: if the version is no non-negative int, the inputs or
            outputs have other names, or a token contains a line break.

    Example:

    >>> ids = keras.Input((None,), dtype="int32", name="token_ids")
    >>> mask = keras.Input((None,), dtype="bool", name="padding_mask")
    >>> graphs = keras.layers.Dot(2)([keras.layers.Embedding(9, 4)(ids)] * 2)
    >>> graphs = keras.ops.expand_dims(graphs, (1, 2))
    >>> predictor = keras.Model(
    ...     {"token_ids": ids, "padding_mask": mask},
    ...     {"forward_graphs": graphs, "backward_graphs": graphs},
    ... )
    >>> export_saved_model(predictor, "saved_models/tiny").as_posix()
    'saved_models/tiny/1'
    """
    _check_backend()
    _check_version(version)
    _check_names(predictor)
    vocabulary = _vocabulary_text(getattr(predictor, "vocabulary", None))
    target = Path(path) / str(version)
    _refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".writing-{version}-"
    with tempfile.TemporaryDirectory(dir=path, prefix=prefix) as folder:
        # A folder inside: the temporary one is readable by its owner only.
        written = Path(folder) / "version"
        _write(predictor, vocabulary, written)
        _refuse_existing(target)
        written.rename(target)
    return target


def _write(predictor, vocabulary, folder):
    import tensorflow as tf

    module, function = _module(predictor)
    signatures = dict.fromkeys(SIGNATURES, function)
    tf.saved_model.save(module, str(folder), signatures=signatures)
    if vocabulary is not None:
        (folder / VOCABULARY).parent.mkdir()
        (folder / VOCABULARY).write_text(vocabulary, "utf-8", newline="\n")


def _module(predictor):
    """The module to save, and the function that it serves.

    The module holds the variables and not the model: a Keras model that is
    reachable from it would have its weights written a second time.
    """
    import tensorflow as tf

    def from_ids(token_ids, padding_mask):
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        outputs = predictor(inputs, training=False)
        return {name: outputs[name] for name in OUTPUTS}  # (B, L, K, T, T)

    module = tf.Module()
    module.variables_ = [variable.value for variable in predictor.variables]
    return module, tf.function(
        from_ids,
        input_signature=[
            tf.TensorSpec((None, None), tf.int32, name="token_ids"),
            tf.TensorSpec((None, None), tf.bool, name="padding_mask"),
        ],
    )


def _vocabulary_text(vocabulary):
    """One token per line, or None."""
    if vocabulary is None:
        return None
    for token in vocabulary:
        if "\n" in token or "\r" in token:
            raise ValueError(
                "A token of `predictor.vocabulary` must not contain a line "
                f"break. Received: token={token!r}"
            )
    return "".join(f"{token}\n" for token in vocabulary)


def _check_backend():
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "A SavedModel can be written on the TensorFlow backend only. "
            f"Received: backend={keras.backend.backend()!r}"
        )


def _check_version(version):
    whole = isinstance(version, int) and not isinstance(version, bool)
    if not whole or version < 0:
        raise ValueError(
            "`version` must be a non-negative integer. "
            f"Received: version={version!r}"
        )


def _check_names(predictor):
    for kind, names in (("input", INPUTS), ("output", OUTPUTS)):
        tensors = getattr(predictor, kind, None)
        named = isinstance(tensors, dict)
        found = sorted(tensors) if named else type(tensors).__name__
        if found != sorted(names):
            raise ValueError(
                f"`predictor` must be a functional model whose {kind}s are a "
                f"dict with the names {names}. Received: {kind}s={found}"
            )


def _refuse_existing(target):
    if target.exists():
        raise FileExistsError(
            "A version is never overwritten; export under the next number. "
            f"Received: {target}, which exists"
        )
