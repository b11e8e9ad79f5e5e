"""A frozen graph predictor as a SavedModel, ready for TensorFlow Serving.

TensorFlow is imported inside the functions, so that the package can be
imported without it.
"""

import tempfile
from pathlib import Path

from glomo_keras.serving import checks
from glomo_keras.serving import signatures as signatures_lib
from glomo_keras.serving import warmup
from glomo_keras.utils import files

VOCABULARY = Path("assets.extra") / "vocabulary.txt"


def export_saved_model(
    predictor,
    path,
    version=1,
    tokenizer=None,
    max_length=None,
    num_edges=8,
    warmup_texts=None,
    max_characters=None,
    warmup_images=None,
):
    """Writes `path/version/`, a SavedModel of a graph predictor.

    It runs in inference mode, with core TensorFlow ops only: neither Keras
    nor this package nor TensorFlow Text is needed to load it. The batch size B
    and the number of positions T are free. With N = (2L - 1) K and
    k = `num_edges`:

    | signature | inputs | outputs |
    |---|---|---|
    | `serving_default` | `text` string `(B,)` | `forward_graphs`, \
`backward_graphs` `(B, L, K, T, T)`, and the tokens |
    | `mixture` | `text`, `weights` float32 `(B, 2, N)` or `(1, 2, N)` | \
`forward_mixture`, `backward_mixture` `(B, T, T)`, and the tokens |
    | `edges` | `text` | `forward_edge_sources` int32, \
`forward_edge_weights` `(B, L, K, T, k)`, `backward_...`, and the tokens |
    | `from_ids`, `mixture_from_ids`, `edges_from_ids` | `token_ids` int32 \
`(B, T)`, `padding_mask` bool `(B, T)`, True = real position | the same \
without the tokens |
    | `from_ids_and_length`, `mixture_from_ids_and_length`, \
`edges_from_ids_and_length` | `token_ids`, `length` int32 `(B,)` | likewise |

    The tokens are `tokens` string `(B, T)`, padded with `""`, `token_offsets`
    int32 `(B, T, 2)`, in Unicode code points, and `length` int32 `(B,)`. They
    are those of the tokenizer; T is the longest text, and at least 1.

    A server that batches requests and pads them
    (`pad_variable_length_inputs`) fills a mask with its first element, True.
    Ask such a server by `length`.

    The weights of a mixture are used as they are, `[:, 0]` forward, `[:, 1]`
    backward, the terms in the order of `GraphMixture`: G^1, G^2, P^2, G^3,
    P^3, ..., each with its K heads. The edges of a position are sorted,
    strongest first; where there are fewer than k, source -1 and weight 0
    follow.

    Without a tokenizer there are only the signatures on ids, and
    `serving_default` is the same as `from_ids`. A predictor of images has
    three signatures, on `images` uint8 `(B, H, W, C)`, T = H W in raster
    order: `serving_default`, `mixture` and `edges`, without tokens. A
    predictor of one direction has only its outputs, and weights `(B, 1, N)`.

    Every signature is also an attribute of the loaded model and takes one
    dict, as `keras.layers.TFSMLayer(folder, call_endpoint="from_ids")` calls
    it.

    Empty batches, inputs without positions and inputs beyond the limits below
    are refused by the graph, before it computes anything big, with an
    InvalidArgument error that says what it received.

    The folder appears complete or not at all: it is written under a hidden
    name in `path`, then renamed. A process that is killed on the way may leave
    that hidden folder, which TensorFlow Serving does not look at.

    Args:
        predictor: Functional `keras.Model` with the inputs and outputs of
            `from_ids`, or with `images`, as dicts; such as `GraphPredictor`.
            If it has an attribute `vocabulary`, a list of strings, that is
            written to `assets.extra/vocabulary.txt`, one token per line; with
            a tokenizer it stands in `assets/vocabulary.txt` instead.
        path: Folder of all versions; made if missing.
        version: Non-negative int. Defaults to 1.
        tokenizer: `WordTokenizer` with the vocabulary and the options that
            the predictor was pretrained with. Defaults to None.
        max_length: The most positions T. Defaults to None, no limit.
        num_edges: Number of edges k. Defaults to 8.
        warmup_texts: List of strings, from which the requests in
            `assets.extra/tf_serving_warmup_requests` are made. Defaults to
            None, no requests.
        max_characters: The most Unicode characters of a text, checked before
            it is split in tokens. Defaults to None, no limit.
        warmup_images: Array `(n, H, W, C)`, the same for images. Defaults to
            `None`.

    Returns:
        The `pathlib.Path` of the version's folder.

    Raises:
        FileExistsError: If the version is there already.
        ImportError: If there are warm-up texts or images and the package
            `tensorflow-serving-api` is not installed.
        RuntimeError: If Keras does not run on TensorFlow.
        ValueError: If a number is out of its range, the inputs or outputs
            have other names, a token contains a line break, the tokenizer is
            not that of the predictor, a warm-up text is too long, or the
            warm-up images are not what the predictor takes.

    Example:

    >>> import keras
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
    limits = {"max_length": max_length, "max_characters": max_characters}
    _check(predictor, version, tokenizer, num_edges, limits)
    takes_text = signatures_lib.takes_text(predictor)
    if warmup_images is not None and (warmup_texts or takes_text):
        raise ValueError(
            "`warmup_images` are for a predictor of images, `warmup_texts` "
            "for one of texts: give one of them. Received: inputs "
            f"{sorted(predictor.input)}, {len(warmup_texts or ())} texts, "
            f"{len(warmup_images)} images"
        )
    target = Path(path) / str(version)
    checks.check_new(target)
    batches = []
    if warmup_texts:
        batches = warmup.text_batches(warmup_texts, tokenizer, **limits)
    elif warmup_images is not None:
        channels = predictor.input["images"].shape[-1]
        batches = warmup.image_batches(warmup_images, max_length, channels)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".writing-{version}-"
    with tempfile.TemporaryDirectory(dir=path, prefix=prefix) as folder:
        # A folder inside: the temporary one is readable by its owner only.
        written = Path(folder) / "version"
        _write(predictor, written, tokenizer, num_edges, limits)
        if batches:
            name = target.parent.resolve().name
            shape = signatures_lib.weights_shape(predictor)
            warmup.write_requests(written, name, batches, shape)
        checks.check_new(target)
        written.rename(target)
    return target


def _check(predictor, version, tokenizer, num_edges, limits):
    checks.check_backend("A SavedModel")
    checks.check_whole("version", version, 0)
    checks.check_whole("num_edges", num_edges, 1)
    for name, limit in limits.items():
        if limit is not None:
            checks.check_whole(name, limit, 1)
    checks.check_predictor(predictor)
    checks.check_tokenizer(tokenizer, predictor)
    checks.check_vocabulary(getattr(predictor, "vocabulary", None))


def _write(predictor, folder, tokenizer, num_edges, limits):
    """Writes a SavedModel with its vocabulary; uses the folder above it."""
    import tensorflow as tf

    vocabulary = getattr(predictor, "vocabulary", None)
    file = folder.parent / VOCABULARY.name
    if vocabulary is not None:
        files.write_vocabulary(file, vocabulary)
    module, signatures = signatures_lib.make_signatures(
        predictor, tokenizer, file, num_edges=num_edges, **limits
    )
    tf.saved_model.save(module, str(folder), signatures=signatures)
    if vocabulary is not None and tokenizer is None:
        (folder / VOCABULARY).parent.mkdir()
        file.rename(folder / VOCABULARY)
