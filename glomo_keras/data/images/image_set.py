"""Images read once, scaled, checked and kept on disk."""

import collections
import dataclasses
import os

import numpy as np

from glomo_keras.data.images.image_sources import ImageFiles
from glomo_keras.utils import files

FORMAT = 3
LISTED = 10  # files named for each fault


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Holds images of one size, in the order of their source.

    Attributes:
        images: uint8 array `(N, S, S, 3)`, mapped from disk.
        labels: int32 array `(N,)`, or None.
        class_names: list of str, or None.
        names: list of N str, files or places in a data set.
        skipped: list of `(name, reason)`, what could not be used.
    """

    images: np.ndarray
    labels: np.ndarray | None
    class_names: list | None
    names: list
    skipped: list

    def __len__(self):
        return len(self.images)


def prepare_images(sources, cache, size):
    """Reads, checks and scales all images, once; then opens what it wrote.

    Everything is read before anything is trained, so that a bad file shows
    now and not in an hour.

    Args:
        sources: list of sources, see `image_sources`. What several have, a
            data set or a file without a label, is read once: one copy could
            be held out and another trained on.
        cache: path of a folder, made if needed.
        size: int, pixels a side.

    Returns:
        `ImageSet`.

    Raises:
        ValueError: If none of the files is an image that can be used, or the
            classes of the sources differ.
    """
    classes = sources[0].class_names
    for source in sources:
        if source.class_names != classes:
            raise ValueError(
                "All sources must have the same classes. Received: "
                f"{classes} and, in {source.name}, {source.class_names}"
            )
    sources = _without_repeats(sources, classes)
    state = [FORMAT, size, classes, [s.signature() for s in sources]]
    folder = os.path.join(cache, f"images-{files.digest(state)}")
    os.makedirs(folder, exist_ok=True)
    record = os.path.join(folder, "images.json")
    found = files.read_json_or_none(record)
    if found is None or files.find_fault(folder, found["file"]):
        _write(folder, record, sources, size)
    return _open(folder, files.read_json(record))


def split_rows(count, held_out, seed):
    """Splits rows at random, depending on nothing but the arguments.

    Args:
        count: int, N.
        held_out: int, rows to hold out.
        seed: int.

    Returns:
        `(train, held_out)`, int arrays of rows; those for training in random
        order, so that the first n are a sample.
    """
    order = np.random.default_rng((seed, 2)).permutation(count)
    return order[held_out:], order[:held_out]


def describe_skipped(skipped):
    """Lists what could not be used, with counts by reason.

    Args:
        skipped: list of `(name, reason)`.

    Returns:
        Str of some lines; `"No file was skipped."` if there are none.
    """
    if not skipped:
        return "No file was skipped."
    reasons = collections.defaultdict(list)
    for name, reason in skipped:
        reasons[reason].append(name)
    lines = [f"Skipped files: {len(skipped):,}"]
    for reason, names in sorted(reasons.items()):
        lines += [f"  {len(names):,} {reason}:"]
        lines += [f"    {name}" for name in names[:LISTED]]
        if len(names) > LISTED:
            lines += [f"    and {len(names) - LISTED:,} more"]
    return "\n".join(lines)


def _without_repeats(sources, classes):
    if len(sources) == 1:
        return sources
    seen, left = set(), []
    for source in sources:
        if isinstance(source, ImageFiles) and classes is None:
            source = source.without(seen)
        else:
            state = files.digest(source.signature())
            source = None if state in seen else source
            seen.add(state)
        if source is not None:
            left.append(source)
    return left


def _write(folder, record, sources, size):
    path = os.path.join(folder, "images.npy")
    most = sum(len(source) for source in sources)
    names, labels, skipped = [], [], []
    with files.atomic_path(path, shared=True) as temporary:
        images = np.lib.format.open_memmap(
            temporary, "w+", "uint8", (most, size, size, 3)
        )
        for name, image, label in _examples(sources, size, most):
            if isinstance(image, np.ndarray):
                images[len(names)] = image
                names.append(name)
                labels.append(label)
            else:
                skipped.append([name, str(image)])
        images.flush()
        del images
        if not names:
            raise ValueError(
                "There is no image that can be used. Received: "
                f"{[s.name for s in sources]}\n{describe_skipped(skipped)}"
            )
    files.write_json(
        record,
        {
            "file": files.file_record(path),
            "names": names,
            "labels": None if labels[0] is None else labels,
            "class_names": sources[0].class_names,
            "skipped": skipped,
        },
        shared=True,
    )


def _examples(sources, size, most):
    import tqdm

    examples = (e for source in sources for e in source.examples(size))
    # Quick reads show nothing; long ones show that they go on.
    return tqdm.tqdm(
        examples, "reading", most, unit="images", delay=5, mininterval=5
    )


def _open(folder, record):
    images = np.load(os.path.join(folder, "images.npy"), mmap_mode="r")
    labels = record["labels"]
    return ImageSet(
        images=images[: len(record["names"])],
        labels=None if labels is None else np.array(labels, "int32"),
        class_names=record["class_names"],
        names=record["names"],
        skipped=[tuple(entry) for entry in record["skipped"]],
    )
