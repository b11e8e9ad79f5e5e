"""Predicts the graphs of many texts."""

import numpy as np

from glomo_keras.data.text.word_tokenizer import WordTokenizer
from glomo_keras.utils.padding import pad_rows
from glomo_keras.utils.validation import check_positive

CHUNK = 256  # texts tokenised at a time
STEP = 8  # of the padded lengths: few lengths, few compilations


def predict_graphs(predictor, texts, tokenizer=None, batch_size=32):
    """Returns the graphs of texts of any lengths, without padding.

    Texts of about the same length are computed together; the answers are in
    the order of the texts. The graphs of a text of T words take `8 L K T^2`
    bytes.

    Args:
        predictor: `GraphPredictor`.
        texts: Sequence of str.
        tokenizer: `WordTokenizer` with the vocabulary and the options that
            the predictor was pretrained with. Defaults to its own.
        batch_size: Integer, the most texts in a batch. Defaults to 32.

    Returns:
        List with one dict for each text: `tokens`, list of T str,
        `token_offsets`, int32 `(T, 2)`, and the predictor's `forward_graphs`
        and `backward_graphs`, float arrays `(L, K, T, T)`. T is 0 for a text
        without a word.

    Raises:
        ValueError: If the texts are one string, the predictor has no
            vocabulary or tokenizer options and no tokenizer is given, or the
            two have different ones.

    Example:

    ```python
    predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    first, second = gk.data.predict_graphs(
        predictor, ["The cat sat.", "It was tired of waiting."])
    gk.analysis.plot_graph_grid(first["forward_graphs"], first["tokens"])
    ```
    """
    if isinstance(texts, str | bytes):
        raise ValueError(
            "Give a list of texts, even for a single one. "
            f"Received: a text of type {type(texts).__name__}"
        )
    check_positive(batch_size=batch_size)
    rows = tokenized(checked_tokenizer(predictor, tokenizer), list(texts))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["tokens"]))
    for start in range(0, len(order), batch_size):
        batch = [rows[index] for index in order[start : start + batch_size]]
        ids = [row.pop("token_ids") for row in batch]
        graphs = predictor.predict_on_batch(padded(ids))
        for index, row in enumerate(batch):
            length = len(row["tokens"])
            row |= {
                name: np.array(graph[index, :, :, :length, :length])
                for name, graph in graphs.items()
            }
    return rows


def checked_tokenizer(predictor, tokenizer):
    """Returns a predictor's tokenizer, or the given one if it fits.

    Raises:
        ValueError: See `predict_graphs`.
    """
    known = predictor.vocabulary
    if tokenizer is None:
        if known is None or predictor.tokenizer_config is None:
            raise ValueError(
                "The predictor has no `vocabulary` or no `tokenizer_config`: "
                "give `tokenizer`. Received: tokenizer=None"
            )
        return WordTokenizer(known, **predictor.tokenizer_config)
    given = tokenizer.vocabulary
    size = 0 if given is None else len(given)
    if known not in (None, given) or size != predictor.vocabulary_size:
        raise ValueError(
            "`tokenizer` must have the vocabulary of the predictor, of "
            f"{predictor.vocabulary_size} words. Received: {size} words"
        )
    check_tokenizer_options(predictor, tokenizer)
    return tokenizer


def check_tokenizer_options(predictor, tokenizer):
    """Raises ValueError if a tokenizer would make other words from a text.

    Its `normalize_unicode` may differ, as in `WordTokenizer.from_preset`.
    """
    wanted = getattr(predictor, "tokenizer_config", None) or {}
    for name in ("lowercase", "numbers"):
        if name in wanted and getattr(tokenizer, name) != wanted[name]:
            raise ValueError(
                f"`tokenizer` must have {name}={wanted[name]!r}, as in the "
                "pretraining of the predictor; `WordTokenizer.from_preset` "
                "reads all options. "
                f"Received: {name}={getattr(tokenizer, name)!r}"
            )


def tokenized(tokenizer, texts):
    """Returns a dict of `tokens`, `token_offsets` and `token_ids` per text."""
    rows = []
    for start in range(0, len(texts), CHUNK):
        output = tokenizer(texts[start : start + CHUNK])
        output = {name: np.asarray(array) for name, array in output.items()}
        for index, mask in enumerate(output.pop("padding_mask")):
            row = {name: x[index, : mask.sum()] for name, x in output.items()}
            row["tokens"] = [
                word.decode() if isinstance(word, bytes) else word
                for word in row["tokens"]
            ]
            rows.append(row)
    return rows


def padded(ids):
    """Returns the inputs of a batch, padded to a multiple of `STEP`."""
    length = STEP * max(1, -(-max(map(len, ids)) // STEP))
    token_ids, mask = pad_rows(ids, length)
    return {"token_ids": token_ids, "padding_mask": mask}
