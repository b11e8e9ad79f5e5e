"""Film reviews of IMDB: the official folders, one CSV file, and TFDS."""

import csv
import dataclasses
import io
import pathlib
import re

import numpy as np

from glomo_keras.data.tfds_examples import TfdsExamples
from glomo_keras.utils import files
from glomo_keras.utils.validation import check_option

IMDB_LABELS = ("neg", "pos")
"""The labels in the order of their numbers."""

_COLUMNS = (("review", "sentiment"), ("text", "label"))
_CSV_LABELS = {
    **{name: 0 for name in ("negative", "neg", "0")},
    **{name: 1 for name in ("positive", "pos", "1")},
}
_NAME = re.compile(r"(\d+)_\d+\.txt")


@dataclasses.dataclass(frozen=True)
class Reviews:
    """Holds reviews with their labels.

    Attributes:
        ids: list of N str: `"pos/123_8"`, the file, or the number in TFDS.
        texts: list of N str, the line breaks `<br />` made blanks.
        labels: int32 array `(N,)`, places in `IMDB_LABELS`.
        source: str, where they come from.
    """

    ids: list
    texts: list
    labels: np.ndarray
    source: str

    def __len__(self):
        return len(self.labels)

    def take(self, indices):
        """Returns the reviews at the given indices, as `Reviews`."""
        return dataclasses.replace(
            self,
            ids=[self.ids[i] for i in indices],
            texts=[self.texts[i] for i in indices],
            labels=self.labels[np.asarray(indices, "int64")],
        )

    def split(self, fraction, seed):
        """Splits off a share of each label, drawn at random.

        Args:
            fraction: float between 0 and 1, the second part's share.
            seed: int.

        Returns:
            Two `Reviews`, in the order of this one.

        Raises:
            ValueError: If `fraction` is out of range, or a part is empty.
        """
        if not 0 < fraction < 1:
            raise ValueError(
                "`fraction` must be between 0 and 1. "
                f"Received: fraction={fraction}"
            )
        rng = np.random.default_rng(seed)
        second = np.zeros(len(self), "bool")
        for label in range(len(IMDB_LABELS)):
            places = rng.permutation(np.flatnonzero(self.labels == label))
            second[places[: round(fraction * len(places))]] = True
        if second.all() or not second.any():
            raise ValueError(
                f"{self.source}: too few reviews to hold out {fraction:.0%}. "
                f"Received: {len(self)} reviews"
            )
        return self.take(np.flatnonzero(~second)), self.take(
            np.flatnonzero(second)
        )


def read_imdb(folder, split):
    """Reads one split of the official folder `aclImdb`, or of a CSV file.

    Args:
        folder: Path of `aclImdb`, or of the folder it lies in; or a file that
            `read_imdb_file` reads, whose first half is for training and whose
            second half is for the test.
        split: `"train"` or `"test"`.

    Returns:
        `Reviews`, negative before positive, each in the order of their
        numbers; those of a file in its order.

    Raises:
        FileNotFoundError: If there is no such folder, or it lacks `neg` and
            `pos`.
        ValueError: If a label has no reviews, also in a half of a CSV file,
            or a file's name is not of the official form `NUMBER_STARS.txt`,
            or a file is not UTF-8.
    """
    check_option("split", split, ("train", "test"))
    folder = pathlib.Path(folder)
    if folder.is_file():
        reviews = read_imdb_file(folder)
        half = len(reviews) // 2
        part = reviews.take(
            range(half) if split == "train" else range(half, len(reviews))
        )
        if set(part.labels) != set(reviews.labels):
            raise ValueError(
                "The first half of a file is for training, the second for the "
                "test, and each needs reviews of both labels: shuffle the "
                f"rows. Received: {folder}, whose half for {split} has "
                f"{[IMDB_LABELS[label] for label in sorted(set(part.labels))]}"
            )
        return part
    inner = folder / "aclImdb"
    root = (inner if inner.is_dir() else folder) / split
    ids, texts, labels = [], [], []
    for label, name in enumerate(IMDB_LABELS):
        for path in _files(root / name):
            ids.append(f"{name}/{path.stem}")
            texts.append(_clean(files.read_text(path)))
            labels.append(label)
    return Reviews(ids, texts, np.array(labels, "int32"), str(root))


def read_imdb_file(path):
    """Reads a CSV file with the columns review and sentiment.

    Args:
        path: The file. Its columns may also be text and label; a sentiment is
            positive or negative, pos or neg, 1 or 0.

    Returns:
        `Reviews`, in the order of the file, their ids the numbers of the
        rows.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing, a row has more cells than
            columns, quotes do not match, a sentiment is unknown, or the text
            is not UTF-8. The message names the file and the line.
    """
    texts, labels = [], []
    with open(path, "rb") as file:
        rows = csv.DictReader(_lines(file), strict=True)
        try:
            columns = _find_columns(rows.fieldnames)
            for row in rows:
                if None in row:
                    raise ValueError(
                        "there are more cells than columns: text with commas "
                        f"is quoted. Received: {row[None]}"
                    )
                text, label = (row[name] for name in columns)
                if text is None or str(label).lower() not in _CSV_LABELS:
                    raise ValueError(
                        "a sentiment is positive or negative. "
                        f"Received: {columns[1]}={label!r}"
                    )
                texts.append(_clean(text))
                labels.append(_CSV_LABELS[label.lower()])
        except (csv.Error, ValueError) as error:  # also of the decoding
            # A row that cannot be read is not counted yet.
            unread = isinstance(error, UnicodeDecodeError | csv.Error)
            number = rows.line_num + unread
            raise ValueError(
                f"{path}, line {max(1, number)}: {error}"
            ) from error
    if not texts:
        raise ValueError(f"There is no review. Received: {path}")
    ids = [str(number) for number in range(len(texts))]
    return Reviews(ids, texts, np.array(labels, "int32"), str(path))


def _lines(file):
    """Yields decoded lines one by one, so that a fault names its line."""
    for number, line in enumerate(file):
        text = line.decode("utf-8-sig" if number == 0 else "utf-8")
        yield from io.StringIO(text, newline="")


def _find_columns(found):
    for columns in _COLUMNS:
        if set(columns) <= set(found or ()):
            return columns
    raise ValueError(
        "the columns are review and sentiment, or text and label. "
        f"Received: {found}"
    )


def read_imdb_tfds(split, name="imdb_reviews", data_dir=None):
    """Reads one split of a TFDS data set with features `text` and `label`.

    Args:
        split: `"train"` or `"test"`.
        name: string, the data set's name, with config and version if need be.
        data_dir: folder of prepared data sets, as `TfdsExamples` takes it.
            Defaults to `None`.

    Returns:
        `Reviews`, in the stored order.

    Raises:
        FileNotFoundError: If the data set is not prepared.
        ValueError: If a feature is missing, or a label is neither 0 nor 1.
    """
    spec = f"tfds:{name.removeprefix('tfds:')}:{split}"
    examples = TfdsExamples(spec, ("text", "label"), data_dir)
    texts, labels = [], []
    for number, example in enumerate(examples):
        label = int(example["label"])
        if label not in (0, 1):
            raise ValueError(
                f"{spec}: labels are 0 (neg) and 1 (pos). "
                f"Received: label={label} in example {number}"
            )
        texts.append(_clean(example["text"].decode("utf-8", "replace")))
        labels.append(label)
    ids = [str(number) for number in range(len(texts))]
    return Reviews(ids, texts, np.array(labels, "int32"), spec)


def _files(folder):
    if not folder.is_dir():
        raise FileNotFoundError(
            "The official folder aclImdb holds train/neg, train/pos, test/neg "
            f"and test/pos. Received: no folder {folder}"
        )
    paths = [p for p in sorted(folder.iterdir()) if not files.is_hidden(p.name)]
    for path in paths:
        if not _NAME.fullmatch(path.name):
            raise ValueError(
                "Reviews are in files NUMBER_STARS.txt, such as 123_8.txt. "
                f"Received: {path}"
            )
    if not paths:
        raise ValueError(f"There is no review. Received: {folder}")
    return sorted(paths, key=lambda path: int(_NAME.match(path.name)[1]))


def _clean(text):
    return text.replace("<br />", " ")
