"""Messages of frozen graphs, computed once and kept on disk."""

import os

import numpy as np

from glomo_keras.data.text import cache_files

SHARD = 256  # images a file


class MessageCache:
    """What a model makes of each image and of its mirror image.

    Files of 256 images each, float16, mapped into memory when read: what a
    batch needs is all that is loaded. A file is written as a whole, so a run
    that was killed goes on with the next one.

    Args:
        folder: path, made if needed; one for each predictor and set of
            images (see `digest_of`).
        images: uint8 array `(N, S, S, 3)`.
        predict: function from a dict of `images` `(B, S, S, 3)` to a dict of
            arrays `(B, ...)`.
        batch_size: int, images given to `predict` at a time.

    Attributes:
        num_bytes: int, what is on disk.
    """

    def __init__(self, folder, images, predict, batch_size=16):
        self.folder = os.fspath(folder)
        self.num_images = len(images)
        os.makedirs(self.folder, exist_ok=True)
        self._shards = []
        for start in _progress(range(0, len(images), SHARD)):
            self._shards.append(self._shard(start, images, predict, batch_size))
        self.names = sorted(self._shards[0])
        self.num_bytes = sum(
            array.nbytes for shard in self._shards for array in shard.values()
        )

    def _shard(self, start, images, predict, batch_size):
        stop = min(start + SHARD, len(images))
        record = os.path.join(self.folder, f"{start:08d}.json")
        names = cache_files.read_json(record)
        if names is None:
            names = self._write(start, images[start:stop], predict, batch_size)
            cache_files.write_json(record, names)
        return {
            name: np.load(self._path(start, name), mmap_mode="r")
            for name in names
        }

    def _path(self, start, name):
        return os.path.join(self.folder, f"{start:08d}.{name}.npy")

    def _write(self, start, images, predict, batch_size):
        parts = {}
        for first in range(0, len(images), batch_size):
            batch = images[first : first + batch_size]
            sides = [
                predict({"images": side}) for side in (batch, mirrored(batch))
            ]
            for name in sides[0]:
                both = np.stack([np.asarray(side[name]) for side in sides], 1)
                parts.setdefault(name, []).append(both.astype("float16"))
        for name, arrays in parts.items():
            with cache_files.replacing(self._path(start, name)) as temporary:
                np.save(temporary, np.concatenate(arrays))
        return sorted(parts)

    def take(self, rows, flipped):
        """Return the messages of some images.

        Args:
            rows: int array `(B,)`.
            flipped: boolean array `(B,)`, whether the mirror image is meant.

        Returns:
            Dict of float16 arrays `(B, ...)`.
        """
        sides = np.asarray(flipped, int)
        return {
            name: np.stack(
                [
                    self._shards[row // SHARD][name][row % SHARD, side]
                    for row, side in zip(rows, sides, strict=True)
                ]
            )
            for name in self.names
        }


def mirrored(images):
    """Images `(B, H, W, 3)` with left and right exchanged."""
    return np.ascontiguousarray(images[:, :, ::-1])


def _progress(starts):
    import tqdm

    return tqdm.tqdm(starts, "messages", unit="files", delay=5, mininterval=5)
