"""CIFAR-10's official batches, in the python and in the binary version."""

import pathlib
import pickle

import numpy as np

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FOLDERS = ("cifar-10-batches-py", "cifar-10-batches-bin")
CIFAR100_FOLDERS = ("cifar-100-python", "cifar-100-binary")
_SPLITS = ("train", "test")
RECORD = 1 + 3 * 32 * 32
_SAFE = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


def find_batches(folder):
    """Finds the batch files of CIFAR-10 in a folder.

    Args:
        folder: path of the folder, or of the one above it.

    Returns:
        Dict of `train` and `test`, lists of paths; empty if there are none.

    Raises:
        ValueError: If only some of the batches are there, or those of
            CIFAR-100.
    """
    folder = pathlib.Path(folder)
    _refuse_cifar_100(folder)
    for place in (folder, *(folder / name for name in FOLDERS)):
        for ending in ("", ".bin"):
            train = [place / f"data_batch_{i}{ending}" for i in range(1, 6)]
            test = [place / f"test_batch{ending}"]
            missing = [p.name for p in train + test if not p.is_file()]
            if not missing:
                return {"train": train, "test": test}
            if len(missing) < 6:
                raise ValueError(
                    f"{place} lacks batches of CIFAR-10: {', '.join(missing)}. "
                    f"Received: {folder}"
                )
    return {}


def _refuse_cifar_100(folder):
    for place in (folder, *(folder / name for name in CIFAR100_FOLDERS)):
        for ending in ("", ".bin"):
            if all((place / f"{n}{ending}").is_file() for n in _SPLITS):
                raise ValueError(
                    f"{place} holds CIFAR-100, of whose official files only "
                    "those of CIFAR-10 can be read: give tfds:cifar100, or a "
                    f"folder for each class. Received: {folder}"
                )


def read_batch(path):
    """Reads the images and labels of one batch file.

    The python version is a pickle; only the arrays, lists and strings that
    such a batch consists of are let through.

    Args:
        path: `pathlib.Path`.

    Returns:
        `(images, labels)`: uint8 `(N, 32, 32, 3)` and int32 `(N,)`.

    Raises:
        ValueError: If the file is not such a batch, or damaged.
    """
    read = _read_binary if path.suffix == ".bin" else _read_python
    pixels, labels = read(path)
    sizes = (len(pixels), pixels[:1].size, len(labels))
    if pixels.dtype != "uint8" or sizes != (len(labels), RECORD - 1, sizes[0]):
        raise ValueError(
            f"{path} must hold N rows of 3072 bytes and N labels. Received: "
            f"{pixels.dtype} {pixels.shape}, {len(labels)} labels"
        )
    if labels.min() < 0 or labels.max() >= len(CIFAR10_CLASSES):
        raise ValueError(
            f"{path}: labels of CIFAR-10 are 0 to 9. "
            f"Received: {labels.min()} to {labels.max()}"
        )
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels.astype("int32")


def _read_binary(path):
    content = np.fromfile(path, "uint8")
    if not len(content) or len(content) % RECORD:
        raise ValueError(
            f"{path} must have a multiple of {RECORD} bytes: it is cut off, "
            f"or is not a batch of CIFAR-10. Received: {len(content)} bytes"
        )
    records = content.reshape(-1, RECORD)
    return records[:, 1:], records[:, 0].astype("int32")


def _read_python(path):
    try:
        with open(path, "rb") as file:
            batch = _SafeUnpickler(file, encoding="bytes").load()
        return np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(
            f"{path} is no batch of CIFAR-10's python version, or is damaged: "
            f"{error or type(error).__name__}"
        ) from error


class _SafeUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _SAFE:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}")
        return super().find_class(module, name)
