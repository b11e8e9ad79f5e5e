"""Batches of images for training and for evaluation."""

import numpy as np

from glomo_keras.utils.validation import check_positive


class CropBatches:
    """Gives endless batches of crops, each a pure function of `(seed, step)`.

    All images of a batch are cut at one place drawn for it; an epoch shows
    each image once, in a new order, but for the last `N % batch_size`.

    Args:
        images: uint8 array `(N, S, S, 3)`.
        batch_size: int, B.
        crop: int, pixels a side; S or less.
        seed: int, not negative. Defaults to `0`.

    Raises:
        ValueError: If there are fewer images than B, they are not square, or
            there is no such crop.

    Example:

    >>> images = np.zeros((10, 8, 8, 3), "uint8")
    >>> CropBatches(images, batch_size=4, crop=6).batch(0)["images"].shape
    (4, 6, 6, 3)
    """

    one_length = True  # of all batches: for `as_dataset`

    def __init__(self, images, batch_size, crop, seed=0):
        _check_batch_size(images, batch_size)
        _check_crop(images, crop)
        self.images = images
        self.batch_size = batch_size
        self.crop = crop
        self.seed = seed
        self.steps_per_epoch = len(images) // batch_size

    def batch(self, step):
        """Returns the batch of a step: a dict of `images` `(B, C, C, 3)`."""
        rows = shuffled_rows(len(self.images), self.batch_size, self.seed, step)
        rng = np.random.default_rng((self.seed, 1, step))
        top, left = rng.integers(0, self.images.shape[1] - self.crop + 1, 2)
        images = self.images[
            rows, top : top + self.crop, left : left + self.crop
        ]
        return {"images": images}


class EvaluationCrops:
    """Gives the middle of each image once, in batches of one size.

    Args:
        images: uint8 array `(N, S, S, 3)`.
        batch_size: int; N is cut down to a multiple of it.
        crop: int, pixels a side.

    Raises:
        ValueError: If there are fewer images than a batch, or the crop does
            not fit.
    """

    one_length = True

    def __init__(self, images, batch_size, crop):
        _check_batch_size(images, batch_size)
        _check_crop(images, crop)
        start = (images.shape[1] - crop) // 2
        middle = slice(start, start + crop)
        self.images = images[:, middle, middle]
        self.batch_size = batch_size

    def __len__(self):
        return len(self.images) // self.batch_size

    def batch(self, step):
        """Returns the batch of a step: a dict of `images` `(B, C, C, 3)`."""
        _check_step(step, len(self))
        start = step * self.batch_size
        return {"images": self.images[start : start + self.batch_size]}


class LabelledBatches:
    """Gives endless batches of labelled images, pure functions of the step.

    An epoch shows each image once, in a new order, but for the last
    `N % batch_size`; half of them, drawn anew, are mirrored.

    Args:
        images: uint8 array `(N, S, S, 3)`.
        labels: int array `(N,)`.
        batch_size: int, B.
        seed: int, not negative. Defaults to `0`.

    Raises:
        ValueError: If there are fewer images than B, or images and labels
            differ in number.

    Example:

    >>> images = np.zeros((10, 8, 8, 3), "uint8")
    >>> batches = LabelledBatches(images, np.arange(10), batch_size=4)
    >>> inputs, targets = batches.batch(0)
    >>> inputs["images"].shape, targets["logits"].shape
    ((4, 8, 8, 3), (4,))
    """

    one_length = True

    def __init__(self, images, labels, batch_size, seed=0):
        _check_batch_size(images, batch_size)
        _check_labels(images, labels)
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = len(images) // batch_size

    def batch(self, step):
        """Returns `(inputs, targets)` of a step.

        Inputs: a dict of `images` `(B, S, S, 3)`; targets: a dict of
        `logits`, int32 labels `(B,)`.
        """
        rows = shuffled_rows(len(self.images), self.batch_size, self.seed, step)
        rng = np.random.default_rng((self.seed, 1, step))
        flipped = rng.random(len(rows)) < 0.5
        return _labelled(self, rows, flipped)


class EvaluationImages:
    """Gives each labelled image once, in order, in batches.

    Args:
        images, labels, batch_size: As for `LabelledBatches`; the
            last batch may be smaller.

    Raises:
        ValueError: If images and labels differ in number, or B is not
            positive.
    """

    one_length = True

    def __init__(self, images, labels, batch_size):
        check_positive(batch_size=batch_size)
        _check_labels(images, labels)
        self.images = images
        self.labels = labels
        self.size = batch_size
        self.batch_size = None if len(images) % batch_size else batch_size

    def __len__(self):
        return -(-len(self.images) // self.size)

    def batch(self, step):
        """Returns `(inputs, targets)`, as `LabelledBatches.batch`."""
        _check_step(step, len(self))
        start = step * self.size
        rows = np.arange(start, min(start + self.size, len(self.images)))
        return _labelled(self, rows, np.zeros(len(rows), "bool"))


def _labelled(batches, rows, flipped):
    images = batches.images[rows]
    sides = np.where(flipped[:, None, None, None], images[:, :, ::-1], images)
    return {"images": sides}, {"logits": batches.labels[rows]}


def shuffled_rows(count, batch_size, seed, step):
    """Returns the rows of a step's batch; each epoch has its own order."""
    epoch, index = divmod(step, count // batch_size)
    order = np.random.default_rng((seed, 0, epoch)).permutation(count)
    # Sorted, so that a mapped file is read forwards.
    return np.sort(order[index * batch_size : (index + 1) * batch_size])


def _check_crop(images, crop):
    if images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise ValueError(
            "`images` must have shape (N, S, S, 3). "
            f"Received: images.shape={images.shape}"
        )
    if not 1 < crop <= images.shape[1]:
        raise ValueError(
            f"`crop` must be 2 to {images.shape[1]}, the size of the images. "
            f"Received: crop={crop}"
        )


def _check_batch_size(images, batch_size):
    if not 1 <= batch_size <= len(images):
        raise ValueError(
            f"`batch_size` must be 1 to {len(images)}, the number of images. "
            f"Received: batch_size={batch_size}"
        )


def _check_labels(images, labels):
    if len(images) != len(labels):
        raise ValueError(
            "There must be a label for each image. "
            f"Received: {len(images)} images, {len(labels)} labels"
        )


def _check_step(step, count):
    if not 0 <= step < count:
        raise IndexError(f"There are {count} batches. Received: step={step}")
