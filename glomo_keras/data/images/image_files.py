"""Reads one image file as RGB of a given size, or says why it cannot."""

import contextlib
import errno
import os
import tarfile
import warnings
import zipfile

import numpy as np

_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_DEPTHS = (8, 10, 12, 14, 16)
_PHOTOMETRIC, _WHITE_IS_0 = 262, 0  # a tag of TIFF, and one of its values


class UnusableImage(Exception):
    """Reports that a file cannot be used as an image; the message says why."""


def read_image(path, size):
    """Reads an image file and scales it.

    Grey, palette, CMYK and 16-bit images become 8-bit RGB; transparent parts
    are put on white; of animations and pages the first picture counts; the
    orientation that the camera noted is applied, unless the note is damaged.
    The largest square in the middle is scaled to `size`.

    A 16-bit image that uses fewer bits (8, 10, 12 or 14, by its brightest
    pixel) is scaled as one of so many bits, with a warning.

    Args:
        path: path of a file.
        size: int, pixels a side.

    Returns:
        uint8 array `(size, size, 3)`.

    Raises:
        UnusableImage: If the file is none of that, or is damaged.
        OSError: If the system cannot read it.
    """
    if not os.path.isfile(path):
        raise UnusableImage("not a file")
    from PIL import Image
    from PIL import ImageOps
    from PIL import UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but readable files
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                negative = _is_negative(image)
                with contextlib.suppress(Exception):  # of damaged EXIF
                    image = ImageOps.exif_transpose(image)
                rgb, depth = _as_rgb(image)
                if negative:
                    rgb = ImageOps.invert(rgb)
                pixels = scale_image(rgb, size)
    except UnidentifiedImageError as error:
        archive = zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
        reason = "an archive: unpack it" if archive else "not an image"
        raise UnusableImage(reason) from error
    except UnusableImage:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UnusableImage("too many pixels") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise any kind of error
        # A fault of the system may pass; EINVAL is a bad offset in the file.
        if getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise
        text = str(error) or type(error).__name__
        raise UnusableImage(f"damaged ({text})") from error
    if depth is not None:
        warnings.warn(
            f"Images of 16 bits that use {depth} bits alone are scaled as "
            f"images of {depth} bits.",
            stacklevel=2,
        )
    return pixels


def scale_image(image, size):
    """Scales the largest square in the middle of an image.

    Args:
        image: RGB `PIL.Image.Image`, or uint8 array `(H, W, 3)`.
        size: int, pixels a side.

    Returns:
        uint8 array `(size, size, 3)`; the image itself where it has that size.
    """
    from PIL import Image
    from PIL import ImageOps

    if isinstance(image, np.ndarray):
        if image.shape[:2] == (size, size):
            return image
        image = Image.fromarray(image)
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BOX)
    return np.asarray(image, "uint8")


def _is_negative(image):
    """Returns whether 0 is white; Pillow inverts such TIFFs at 8 bits only."""
    tags = getattr(image, "tag_v2", {})
    return image.mode in _DEEP_MODES and tags.get(_PHOTOMETRIC) == _WHITE_IS_0


def _as_rgb(image):
    """Returns the image as RGB, and its depth if that was found out."""
    from PIL import Image

    if image.mode in _DEEP_MODES:
        grey, depth = _eight_bits(image)
        return Image.fromarray(grey).convert("RGB"), depth
    if image.has_transparency_data or image.mode in ("LA", "La", "RGBa", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB"), None


def _eight_bits(image):
    """Returns grey values as 8 bits, and how many they have if not 16."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise UnusableImage(f"pixels of unknown range (mode {image.mode})")
    brightest = max(int(values.max()), 1)
    depth = next(d for d in _DEPTHS if brightest < 2**d)
    grey = values.astype("uint32") * 255 // (2**depth - 1)
    return grey.astype("uint8"), None if depth == 16 else depth
