"""A frozen graph predictor as a SavedModel, ready for TensorFlow Serving.

TensorFlow is imported inside the functions, so that the package can be
imported without it.
"""

import tempfile
from pathlib import Path

import keras

from glomo_keras.serving import signatures as signatures_lib
from glomo_keras.serving import warmup
from glomo_keras.serving.answers import OUTPUTS
from glomo_keras.serving.inputs import INPUTS

VOCABULARY = Path("assets.extra") / "vocabulary.txt"


def export_saved_model(
    predictor,
    path,
    version=1,
    tokenizer=None,
    max_length=None,
    num_edges=8,
    warmup_texts=None,
):
    """Writes `path/version/`, a SavedModel of a graph predictor.

    It runs in inference mode, with core TensorFlow ops only: neither Keras
    nor this package nor TensorFlow Text is needed to load it. Batch B and
    units T are free. With N = (2L - 1) K and k = `num_edges`:

    | signature | inputs | outputs |
    |---|---|---|
    | `from_ids` | `token_ids` int32 `(B, T)`, `padding_mask` bool `(B, T)`, \
True = real unit | `forward_graphs`, `backward_graphs` `(B, L, K, T, T)` |
    | `mixture_from_ids` | the same and `weights` float32 `(B, 2, N)` | \
`forward_mixture`, `backward_mixture` `(B, T, T)` |
    | `edges_from_ids` | as `from_ids` | `forward_edge_sources` int32, \
`forward_edge_weights` `(B, L, K, T, k)`, `backward_...` |
    | `serving_default` | `text` string `(B,)` | as `from_ids`, and the tokens |
    | `mixture` | `text`, `weights` | as `mixture_from_ids`, and the tokens |
    | `edges` | `text` | as `edges_from_ids`, and the tokens |

    The tokens are `tokens` string `(B, T)`, padded with `""`, `token_offsets`
    int32 `(B, T, 2)`, in Unicode code points, and `length` int32 `(B,)`. They
    are those of the tokenizer; T is the longest text, and at least 1.

    The weights of a mixture are used as they are, `[:, 0]` forward, `[:, 1]`
    backward, the terms in the order of `GraphMixture`: G^1, G^2, P^2, G^3,
    P^3, ..., each with its K heads. The edges of a unit are sorted, strongest
    first; where there are fewer than k, source -1 and weight 0 follow.

    Without a tokenizer there are only the signatures on ids, and
    `serving_default` is the same as `from_ids`.

    The folder appears complete or not at all: it is written under a hidden
    name in `path`, then renamed. A process that is killed on the way may leave
    that hidden folder, which TensorFlow Serving does not look at.

    Args:
        predictor: functional `keras.Model` with these inputs and outputs as
            dicts, such as `GraphPredictor`. If it has an attribute
            `vocabulary`, a list of strings, that is written to
            `assets.extra/vocabulary.txt`, one token per line; with a
            tokenizer it stands in `assets/vocabulary.txt` instead.
        path: path of the folder of all versions; made if missing.
        version: non-negative int.
        tokenizer: `WordTokenizer` with the vocabulary of the predictor.
        max_length: positive int, the most units T. Longer inputs are refused
            by the graph, before it computes anything of that size. None for
            no limit.
        num_edges: positive int, k.
        warmup_texts: list of strings, from which the requests in
            `assets.extra/tf_serving_warmup_requests` are made, or None.

    Returns:
        The `pathlib.Path` of the version's folder.

    Raises:
        FileExistsError: if the version is there already.
        ImportError: if there are warm-up texts and the package
            `tensorflow-serving-api` is not installed.
        RuntimeError: if Keras does not run on TensorFlow.
        ValueError: if a number is out of its range, the inputs or outputs
            have other names, a token contains a line break, the tokenizer has
            another vocabulary, or a warm-up text is too long.

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
    _check_whole("version", version, 0)
    _check_whole("num_edges", num_edges, 1)
    if max_length is not None:
        _check_whole("max_length", max_length, 1)
    _check_names(predictor)
    words = getattr(predictor, "vocabulary", None)
    _check_tokenizer(tokenizer, words)
    vocabulary = _vocabulary_text(words)
    target = Path(path) / str(version)
    _refuse_existing(target)
    requests = _warmup_requests(predictor, tokenizer, max_length, warmup_texts)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".writing-{version}-"
    with tempfile.TemporaryDirectory(dir=path, prefix=prefix) as folder:
        # A folder inside: the temporary one is readable by its owner only.
        written = Path(folder) / "version"
        _write(predictor, vocabulary, written, tokenizer, max_length, num_edges)
        if requests:
            name = target.parent.resolve().name
            warmup.write_requests(written, name, requests)
        _refuse_existing(target)
        written.rename(target)
    return target


def _write(predictor, vocabulary, folder, tokenizer, max_length, num_edges):
    import tensorflow as tf

    file = folder.parent / VOCABULARY.name
    if vocabulary is not None:
        file.write_text(vocabulary, "utf-8", newline="\n")
    module, signatures = signatures_lib.make_signatures(
        predictor, tokenizer, file, max_length, num_edges
    )
    tf.saved_model.save(module, str(folder), signatures=signatures)
    if vocabulary is not None and tokenizer is None:
        (folder / VOCABULARY).parent.mkdir()
        file.rename(folder / VOCABULARY)


def _warmup_requests(predictor, tokenizer, max_length, texts):
    """The requests made of the texts; None without texts."""
    if not texts:
        return None
    warmup.check_package()
    if tokenizer is None:
        raise ValueError(
            "Warm-up texts need a tokenizer. Received: tokenizer=None"
        )
    longest = tokenizer(texts)["token_ids"].shape[1]
    if max_length is not None and longest > max_length:
        raise ValueError(
            f"A warm-up text must have at most max_length={max_length} "
            f"tokens. Received: a text with {longest} tokens"
        )
    count = signatures_lib.num_weights(predictor)
    return warmup.make_requests(texts, tokenizer, count)


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


def _check_whole(name, value, smallest):
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < smallest:
        raise ValueError(
            f"`{name}` must be an integer, {smallest} or more. "
            f"Received: {name}={value!r}"
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


def _check_tokenizer(tokenizer, vocabulary):
    if tokenizer is None:
        return
    if tokenizer.vocabulary is None or tokenizer.vocabulary != vocabulary:
        sizes = [
            None if words is None else len(words)
            for words in (tokenizer.vocabulary, vocabulary)
        ]
        raise ValueError(
            "`tokenizer.vocabulary` must be that of the predictor, "
            "`predictor.vocabulary`. Received: different vocabularies, of "
            f"{sizes[0]} and {sizes[1]} tokens"
        )


def _refuse_existing(target):
    if target.exists():
        raise FileExistsError(
            "A version is never overwritten; export under the next number. "
            f"Received: {target}, which exists"
        )
