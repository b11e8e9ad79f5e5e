"""Where images come from: folders, official CIFAR-10 batches, TFDS.

A source has a `name`, a `signature()` by which a cache knows its state, a
length (the most images that it can give), `class_names` (None if unlabelled)
and `examples(size)`, which yields `(name, image, label)`: the image a uint8
array `(size, size, 3)` or the `UnusableImage` that says why there is none.
"""

import os
import pathlib
import tarfile
import zipfile

from glomo_keras.data.images.cifar_batches import CIFAR10_CLASSES
from glomo_keras.data.images.cifar_batches import find_batches
from glomo_keras.data.images.cifar_batches import read_batch
from glomo_keras.data.images.image_files import UnusableImage
from glomo_keras.data.images.image_files import read_image
from glomo_keras.data.images.image_files import scale_image
from glomo_keras.data.tfds_examples import TfdsExamples
from glomo_keras.utils import files

# Names of folders that cannot be classes.
SPLIT_NAMES = {
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "dev",
}


def open_images(spec, data_dir=None):
    """Opens a source of unlabelled images.

    Args:
        spec: a folder (with folders in it, at any depth), an image file, a
            folder of official CIFAR-10 batches, or `tfds:NAME`.
        data_dir: folder of prepared TFDS data sets. Defaults to `None`, see
            `TfdsExamples`.

    Returns:
        A source, see above.

    Raises:
        FileNotFoundError, ValueError: If the spec does not exist or holds
            no file.
    """
    spec = str(spec)
    if spec.startswith("tfds:"):
        return TfdsImages(spec, ("image",), data_dir)
    if not os.path.exists(spec):
        raise FileNotFoundError(
            "Images come from a folder, an image file or tfds:NAME. "
            f"Received: {spec!r}, which does not exist"
        )
    _refuse_archive(spec)
    batches = find_batches(spec) if os.path.isdir(spec) else {}
    if batches:
        return CifarBatches(spec, batches["train"])
    return ImageFiles(spec, [(path, None) for path in _files_below(spec)])


def open_labelled(spec, data_dir=None):
    """Opens sources of labelled images for training and test.

    Args:
        spec: a folder of official CIFAR-10 batches, a folder with `train` and
            `test`, each with a folder for each class, a folder of class
            folders alone, or `tfds:NAME` with the splits train and test.
        data_dir: folder of prepared TFDS data sets. Defaults to `None`, see
            `TfdsExamples`.

    Returns:
        Dict of `train` and `test`, sources; of a folder of class folders
        alone, `train` only.

    Raises:
        FileNotFoundError, ValueError: If there is no such thing, or the
            classes of training and test differ.
    """
    spec = str(spec)
    if spec.startswith("tfds:"):
        return {
            split: TfdsImages(f"{spec}:{split}", ("image", "label"), data_dir)
            for split in ("train", "test")
        }
    if not os.path.isdir(spec):
        _refuse_archive(spec)
        raise FileNotFoundError(
            "Labelled images come from a folder or tfds:NAME. "
            f"Received: {spec!r}, which is not a folder"
        )
    batches = find_batches(spec)
    if batches:
        return {
            split: CifarBatches(spec, paths) for split, paths in batches.items()
        }
    return _class_folders(pathlib.Path(spec))


def _refuse_archive(path):
    if not os.path.isfile(path):
        return
    if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        raise ValueError(
            f"{path} is an archive: unpack it and give the folder. "
            f"Received: {path}"
        )


def _class_folders(folder):
    splits = {
        split: folder / split
        for split in ("train", "test")
        if (folder / split).is_dir()
    }
    if not splits:
        source = _labelled_files(folder)
        if SPLIT_NAMES & {name.casefold() for name in source.class_names}:
            raise ValueError(
                "The folders of a split are 'train' and 'test', in lower case "
                "and with folders of the classes inside. "
                f"Received: {source.class_names} in {folder}"
            )
        return {"train": source}
    if len(splits) == 1:
        raise ValueError(
            "A folder with one of 'train' and 'test' needs the other, too. "
            f"Received: {folder} with {list(splits)[0]!r} alone"
        )
    sources = {name: _labelled_files(path) for name, path in splits.items()}
    names = {name: source.class_names for name, source in sources.items()}
    if names["train"] != names["test"]:
        raise ValueError(
            "The class folders of train and test must be the same. "
            f"Received: {names} in {folder}"
        )
    return sources


def _labelled_files(folder):
    classes = sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not files.is_hidden(entry.name)
    )
    if len(classes) < 2:
        raise ValueError(
            f"There must be a folder for each of two classes or more in "
            f"{folder}. Received: {classes}"
        )
    found = [
        (path, label)
        for label, name in enumerate(classes)
        for path in _files_below(folder / name)
    ]
    return ImageFiles(str(folder), found, classes)


def _files_below(path):
    """Returns the sorted paths of the files in a folder, or the file itself."""
    if os.path.isdir(path):
        return sorted(files.files_below(path))
    return [str(path)]


class ImageFiles:
    """Reads image files one by one; faults are returned, not raised."""

    def __init__(self, name, paths, class_names=None):
        if not paths:
            raise ValueError(f"There is no file below {name}. Received: {name}")
        self.name = name
        self.class_names = class_names
        self._paths = paths

    def __len__(self):
        return len(self._paths)

    def without(self, seen):
        """Returns the source without the files in a set, and adds its own."""
        left = []
        for path, label in self._paths:
            place = os.path.realpath(path)
            if place not in seen:
                left.append((path, label))
            seen.add(place)
        return ImageFiles(self.name, left, self.class_names) if left else None

    def signature(self):
        return [
            [os.path.abspath(path), label, *self._state(path)]
            for path, label in self._paths
        ]

    def _state(self, path):
        if not os.path.exists(path):  # a broken link
            return [None, None]
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns]

    def examples(self, size):
        for path, label in self._paths:
            try:
                yield str(path), read_image(path, size), label
            except UnusableImage as fault:
                yield str(path), fault, label


class CifarBatches:
    """Reads official batches of CIFAR-10, in the official order."""

    class_names = list(CIFAR10_CLASSES)

    def __init__(self, name, paths):
        self.name = name
        self._paths = paths
        self._length = sum(len(read_batch(path)[1]) for path in paths)

    def __len__(self):
        return self._length

    def signature(self):
        states = [os.stat(path) for path in self._paths]
        return [
            [os.path.abspath(path), state.st_size, state.st_mtime_ns]
            for path, state in zip(self._paths, states, strict=True)
        ]

    def examples(self, size):
        for path in self._paths:
            images, labels = read_batch(path)
            for index, image in enumerate(images):
                name = f"{path}[{index}]"
                yield name, scale_image(image, size), int(labels[index])


class TfdsImages:
    """Reads the feature `image`, and `label` if wanted, of a TFDS split."""

    def __init__(self, spec, names, data_dir=None):
        self.name = spec
        self._examples = TfdsExamples(spec, names, data_dir)
        labels = self._examples.features.get("label")
        labelled = "label" in names
        self.class_names = list(labels.names) if labelled else None

    def __len__(self):
        return len(self._examples)

    def signature(self):
        return self._examples.signature()

    def examples(self, size):
        for index, example in enumerate(self._examples):
            label = example.get("label")
            if label is not None:
                label = self._known(label, index)
            image = _rgb_array(example["image"], size)
            yield f"{self.name}[{index}]", image, label

    def _known(self, label, index):
        if not 0 <= label < len(self.class_names):
            raise ValueError(
                f"Labels must be 0 to {len(self.class_names) - 1}; a split "
                f"without labels has -1. Received: label={label} in "
                f"{self.name}[{index}]"
            )
        return int(label)


def _rgb_array(image, size):
    if image.dtype != "uint8" or image.shape[-1] not in (1, 3):
        return UnusableImage(f"neither grey nor RGB: {image.dtype}")
    grey = image.shape[-1] == 1
    return scale_image(image.repeat(3, axis=-1) if grey else image, size)
