"""Predicts graphs of texts that are already split into words."""

from glomo_keras.utils.padding import pad_rows
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
        ids, mask = pad_rows(texts, max([1, *map(len, texts)]))
        graphs = predictor.predict_on_batch(
            {"token_ids": ids, "padding_mask": mask}
        )
        for index, count in enumerate(map(len, texts)):
            yield {
                name: graph[index, :, :, :count, :count]
                for name, graph in graphs.items()
            }
