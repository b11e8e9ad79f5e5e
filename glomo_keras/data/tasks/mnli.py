"""MultiNLI: sentence pairs from the official files or from TFDS."""

import dataclasses
import json
import pathlib

import numpy as np

from glomo_keras.data.tfds_examples import TfdsExamples

MNLI_LABELS = ("entailment", "neutral", "contradiction")
"""The labels in the order of their numbers, that of GLUE and TFDS."""

NO_MAJORITY = "-"

_FILE_NAMES = {
    "train": (
        "multinli_1.0_train.jsonl",
        "multinli_1.0_train_subset.jsonl",
        "train.tsv",
    ),
    "matched": (
        "multinli_1.0_dev_matched.jsonl",
        "multinli_1.0_dev_matched_subset.jsonl",
        "dev_matched.tsv",
    ),
    "mismatched": (
        "multinli_1.0_dev_mismatched.jsonl",
        "multinli_1.0_dev_mismatched_subset.jsonl",
        "dev_mismatched.tsv",
    ),
}
_TFDS_SPLITS = {
    "train": "train",
    "matched": "validation_matched",
    "mismatched": "validation_mismatched",
}
_FIELDS = ("gold_label", "sentence1", "sentence2")


@dataclasses.dataclass(frozen=True)
class SentencePairs:
    """Holds pairs of raw texts with their labels.

    Attributes:
        premises: list of N str.
        hypotheses: list of N str.
        labels: int32 array `(N,)`, places in `MNLI_LABELS`.
        source: str, the file or TFDS split they come from.
        num_dropped: int, pairs left out because their annotators did not
            agree on a label.
    """

    premises: list
    hypotheses: list
    labels: np.ndarray
    source: str
    num_dropped: int = 0

    def __len__(self):
        return len(self.labels)

    def take(self, indices):
        """Returns the pairs at the given indices, as `SentencePairs`."""
        return dataclasses.replace(
            self,
            premises=[self.premises[i] for i in indices],
            hypotheses=[self.hypotheses[i] for i in indices],
            labels=self.labels[np.asarray(indices, "int64")],
        )

    def split(self, fraction, seed):
        """Splits the pairs in two parts that share no premise.

        MultiNLI has each premise with several hypotheses; a model that has
        seen the premise in training is not tested on it.

        Args:
            fraction: float between 0 and 1, about the second part's share.
            seed: int.

        Returns:
            Two `SentencePairs`.

        Raises:
            ValueError: If `fraction` is out of range, or a part is empty.
        """
        if not 0 < fraction < 1:
            raise ValueError(
                "`fraction` must be between 0 and 1. "
                f"Received: fraction={fraction}"
            )
        premises = list(dict.fromkeys(self.premises))
        order = np.random.default_rng(seed).permutation(len(premises))
        held_out = order[: round(fraction * len(premises))]
        if not 0 < len(held_out) < len(premises):
            raise ValueError(
                f"{self.source}: too few premises to hold out "
                f"{fraction:.0%}. Received: {len(premises)} different premises"
            )
        held_out = {premises[i] for i in held_out}
        second = np.array([p in held_out for p in self.premises])  # (N,)
        return self.take(np.flatnonzero(~second)), self.take(
            np.flatnonzero(second)
        )


def read_mnli_file(path):
    """Reads one file, such as `multinli_1.0_dev_matched.jsonl`.

    Each line is a JSON object with `gold_label`, `sentence1` and `sentence2`,
    or, as in GLUE's `dev_matched.tsv`, a row of a table with these columns.
    Pairs labelled `"-"`, on which the annotators did not agree, are dropped
    and counted.

    Args:
        path: the file.

    Returns:
        `SentencePairs`, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not a JSON object with these fields, or a
            label is unknown; the message names the file and the line.

    Example:

    >>> import json, pathlib
    >>> line = {"gold_label": "neutral", "sentence1": "A.", "sentence2": "B."}
    >>> _ = pathlib.Path("pairs.jsonl").write_text(json.dumps(line))
    >>> read_mnli_file("pairs.jsonl").labels
    array([1], dtype=int32)
    """
    premises, hypotheses, labels, dropped = [], [], [], 0
    for place, row in _rows(path):
        _check_row(place, row)
        if row["gold_label"] == NO_MAJORITY:
            dropped += 1
            continue
        premises.append(row["sentence1"])
        hypotheses.append(row["sentence2"])
        labels.append(MNLI_LABELS.index(row["gold_label"]))
    return _pairs(premises, hypotheses, labels, path, dropped)


def read_mnli_tfds(spec, data_dir=None):
    """Reads one split from TFDS (`multi_nli`, or `glue/mnli`).

    Args:
        spec: str, such as `"tfds:multi_nli:validation_matched"`.
        data_dir: str or None, the folder of prepared data sets. Defaults to
            `None`.

    Returns:
        `SentencePairs`, in the order stored.

    Raises:
        ValueError: If the features are not `premise`, `hypothesis` and
            `label`, or a label is outside 0 to 2; the message names the
            example.
        ImportError, FileNotFoundError: As `open_corpus` with such a spec.
    """
    examples = TfdsExamples(spec, ("premise", "hypothesis", "label"), data_dir)
    premises, hypotheses, labels = [], [], []
    for index, example in enumerate(examples):
        label = int(example["label"])
        if not 0 <= label < len(MNLI_LABELS):
            raise ValueError(
                f"{spec}, example {index}: the label must be 0, 1 or 2 (the "
                f"test splits have none). Received: label={label}"
            )
        premises.append(example["premise"].decode("utf-8", "replace"))
        hypotheses.append(example["hypothesis"].decode("utf-8", "replace"))
        labels.append(label)
    return _pairs(premises, hypotheses, labels, spec, 0)


def read_mnli(data_dir=None, tfds=None):
    """Reads train, dev matched and dev mismatched.

    Args:
        data_dir: Folder with the official `multinli_1.0_*.jsonl` (whole files,
            or `*_subset.jsonl` where there is no whole one), or with GLUE's
            `train.tsv`, `dev_matched.tsv` and `dev_mismatched.tsv`; with `tfds`
            the folder of prepared data sets. Defaults to `None`.
        tfds: str or None, the name of a TFDS data set, `"multi_nli"` or
            `"glue/mnli"`. Defaults to `None`.

    Returns:
        Dict of `SentencePairs`: `train`, `matched` and `mismatched`.

    Raises:
        FileNotFoundError: If a file is missing; the message has its name.
        ValueError: As `read_mnli_file` and `read_mnli_tfds`.
    """
    if tfds is not None:
        return {
            part: read_mnli_tfds(f"tfds:{tfds}:{split}", data_dir)
            for part, split in _TFDS_SPLITS.items()
        }
    paths = {
        part: _find(data_dir, names) for part, names in _FILE_NAMES.items()
    }
    return {part: read_mnli_file(path) for part, path in paths.items()}


def _find(folder, names):
    if folder is None:
        raise ValueError(
            "MNLI is read from a folder (data_dir) or from TFDS (tfds). "
            f"Received: data_dir={folder}, tfds=None"
        )
    paths = [pathlib.Path(folder) / name for name in names]
    for path in paths:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"There is none of {', '.join(map(str, names))}. Unpack "
        "multinli_1.0.zip, or GLUE's MNLI.zip, and give the folder that holds "
        "the files. "
        f"Received: data_dir={str(folder)!r}"
    )


def _rows(path):
    """Yields the place and the content of each line of JSON or row."""
    columns = None
    with open(path, "rb") as file:  # as bytes: a line ends in \n alone
        for number, line in enumerate(file, 1):
            place = f"{path}, line {number}"
            line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            if number == 1 and set(_FIELDS) <= set(_cells(place, line)):
                columns = _cells(place, line)
            elif columns is None:
                yield place, _parse(place, line)
            else:
                yield place, _row(place, columns, _cells(place, line))


def _cells(place, line):
    try:
        return line.decode("utf-8").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise ValueError(f"{place}: not UTF-8. Received: {error}") from error


def _row(place, columns, cells):
    if len(cells) != len(columns):
        raise ValueError(
            f"{place}: a row has {len(columns)} cells, as the first line. "
            f"Received: {len(cells)} cells"
        )
    return dict(zip(columns, cells, strict=True))


def _parse(place, line):
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also of the decoding
        raise ValueError(
            f"{place}: not a JSON object in UTF-8 ({error}). "
            f"Received: {line[:60]!r}"
        ) from error


def _check_row(place, row):
    keys = sorted(row) if isinstance(row, dict) else type(row).__name__
    if not isinstance(row, dict) or set(_FIELDS) - set(row):
        raise ValueError(
            f"{place}: MultiNLI's lines have the fields {', '.join(_FIELDS)}. "
            f"Received: {keys}"
        )
    for name in _FIELDS:
        if not isinstance(row[name], str):
            raise ValueError(
                f"{place}: `{name}` must be a string. "
                f"Received: {name}={row[name]!r}"
            )
    if row["gold_label"] not in (*MNLI_LABELS, NO_MAJORITY):
        raise ValueError(
            f"{place}: `gold_label` must be one of {MNLI_LABELS}, or "
            f"{NO_MAJORITY!r} where there is no majority. "
            f"Received: gold_label={row['gold_label']!r}"
        )


def _pairs(premises, hypotheses, labels, source, dropped):
    if not labels:
        raise ValueError(
            f"{source} has no labelled pair. "
            f"Received: 0 pairs, {dropped} without a majority label"
        )
    return SentencePairs(
        premises, hypotheses, np.array(labels, "int32"), str(source), dropped
    )
