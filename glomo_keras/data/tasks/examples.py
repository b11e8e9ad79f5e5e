"""Examples of a task as padded batches of a model's inputs."""

import numpy as np

from glomo_keras.utils.padding import pad_rows

# Lengths to round up to: 16, 24, 32, 48, 64, ...
_LADDER = sorted(2**i * j for i in range(3, 20) for j in (2, 3))


class Examples:
    """Holds texts of any length with targets; pads them when they are taken.

    Args:
        texts: dict. The keys are prefixes of the inputs' names (`""` where
            there is one text, or `"premise"`, `"hypothesis"`); the values are
            lists of N arrays, the numbers of the words of each text in a
            `Lexicon`.
        tables: dict of input name to an array with one row for each word of
            the lexicon: `token_ids` `(V,)`, `char_ids` `(V, 50)`.
        targets: array `(N,)`, or dict of them by output, or None. Defaults to
            `None`.
        few_lengths: boolean. Texts are padded to one of a few lengths (16,
            24, 32, 48, 64, ...) rather than to the longest of a batch: for
            compilers, which compile a step anew for each length. Defaults to
            `False`.

    Raises:
        ValueError: If texts and targets differ in number, or there is no
            example.

    Example:

    >>> rows = [np.array([1, 2]), np.array([2])]
    >>> tables = {"word_ids": np.array([0, 7, 8], "int32")}
    >>> inputs, targets = Examples({"": rows}, tables, np.array([1, 0])).take(
    ...     [1, 0])
    >>> inputs["word_ids"]
    array([[8, 0],
           [7, 8]], dtype=int32)
    >>> inputs["padding_mask"]
    array([[ True, False],
           [ True,  True]])
    >>> targets
    array([0, 1])
    """

    def __init__(self, texts, tables, targets=None, few_lengths=False):
        self.texts = {name: list(rows) for name, rows in texts.items()}
        self.tables = dict(tables)
        self.targets = targets
        self.few_lengths = few_lengths
        _check_sizes(self.texts, targets)
        self.lengths = np.sum(
            [[len(row) for row in rows] for rows in self.texts.values()],
            axis=0,
            dtype="int64",
        )  # (N,), what batches are sorted by

    def __len__(self):
        return len(self.lengths)

    def subset(self, indices):
        """Returns `Examples` of some of these examples.

        Args:
            indices: sequence of ints, the numbers of the examples.
        """
        texts = {
            name: [rows[i] for i in indices]
            for name, rows in self.texts.items()
        }
        targets = self._targets(np.asarray(indices))
        return Examples(texts, self.tables, targets, self.few_lengths)

    def take(self, indices):
        """Pads some examples.

        Args:
            indices: sequence of B ints.

        Returns:
            `(inputs, targets)`. Inputs: for each text `padding_mask`, boolean
            `(B, T)`, and each table's rows, `(B, T, ...)`; their names begin
            with the text's prefix. T is at least 1. Targets: as given, or
            None.
        """
        inputs = {}
        for prefix, rows in self.texts.items():
            start = f"{prefix}_" if prefix else ""
            numbers, mask = self._padded([rows[i] for i in indices])
            inputs[f"{start}padding_mask"] = mask
            for name, table in self.tables.items():
                inputs[start + name] = table[numbers]
        return inputs, self._targets(np.asarray(indices))

    def _targets(self, indices):
        if isinstance(self.targets, dict):
            return {k: v[indices] for k, v in self.targets.items()}
        return None if self.targets is None else self.targets[indices]

    def _padded(self, rows):
        longest = max([1, *map(len, rows)])
        if self.few_lengths:
            longest = _LADDER[np.searchsorted(_LADDER, longest)]
        return pad_rows(rows, longest)


def _check_sizes(texts, targets):
    arrays = targets if isinstance(targets, dict) else {"targets": targets}
    sizes = {name: len(rows) for name, rows in texts.items()}
    sizes |= {k: len(v) for k, v in arrays.items() if v is not None}
    if len(set(sizes.values())) != 1 or not all(sizes.values()):
        raise ValueError(
            "Every example has all texts and targets, and there is at least "
            f"one example. Received: numbers of examples {sizes}"
        )
