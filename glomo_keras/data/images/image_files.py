"""One image from a file: as RGB of a given size, or the reason why not."""

import os
import warnings

import numpy as np

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_UNUSUAL = ("I", "F")


class UnusableImage(Exception):
    """A file that is no image that can be used; the text says why."""


def read_image(path, size):
    """Reads an image file and scales it.

    Grey, palette, CMYK and 16-bit images become 8-bit RGB; what is transparent
    is put on white; of animations and pages the first picture counts; the
    orientation noted by the camera is applied. The largest square in the
    middle is scaled to `size`.

    Args:
        path: path of a file.
        size: int, pixels a side.

    Returns:
        uint8 array `(size, size, 3)`.

    Raises:
        UnusableImage: if the file is none of that, or is damaged.
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
                image = ImageOps.exif_transpose(image)
                return scale_image(_as_rgb(image), size)
    except UnidentifiedImageError as error:
        raise UnusableImage("not an image") from error
    except UnusableImage:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UnusableImage("too many pixels") from None
    except Exception as error:  # decoders raise whatever they like
        text = str(error) or type(error).__name__
        raise UnusableImage(f"damaged ({text})") from error


def scale_image(image, size):
    """The largest square in the middle of an image, scaled.

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


def _as_rgb(image):
    from PIL import Image

    if image.mode in _SIXTEEN_BITS or image.mode in _UNUSUAL:
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.has_transparency_data or image.mode in ("LA", "La", "RGBa", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _eight_bits(image):
    """Grey values of 16 bits (or more, as Pillow may store them) as 8 bits."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise UnusableImage(f"pixels of unknown range (mode {image.mode})")
    return (values.astype("uint32") * 255 // 65535).astype("uint8")
