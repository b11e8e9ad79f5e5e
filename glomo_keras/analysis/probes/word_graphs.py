"""Predicts graphs of texts that are already split into words."""

import numpy as np

from glomo_keras.utils.validation import check_positive


def word_graphs(predictor, token_ids, batch_size=16):
    """Yields the graphs of each text, without padding.

    A text is one input: sentences are not joined, nor cut.

    Args:
        predictor: `GraphPredictor`.
        token_ids: list of integer arrays `(T,)`, one per text.
        batch_size: int. Defaults to 16.

    Yields:
        Dicts of `forward_graphs` and `backward_graphs`, arrays
        `(L, K, T, T)`, in the order of the texts.
    """
    check_positive(batch_size=batch_size)
    for first in range(0, len(token_ids), batch_size):
        texts = token_ids[first : first + batch_size]
        length = max(map(len, texts))
        ids = np.zeros((len(texts), length), "int32")
        for row, text in zip(ids, texts, strict=True):
            row[: len(text)] = text
        lengths = np.array([len(text) for text in texts])
        mask = np.arange(length) < lengths[:, None]
        graphs = predictor.predict_on_batch(
            {"token_ids": ids, "padding_mask": mask}
        )
        for index, count in enumerate(lengths):
            yield {
                name: graph[index, :, :, :count, :count]
                for name, graph in graphs.items()
            }
