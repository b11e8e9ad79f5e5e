"""Image files of all kinds, good, odd and bad, for the tests."""

import os
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

GOOD = {  # and the mean grey value it has to be read as
    "rgb.png": 100,
    "grey.png": 100,
    "grey16.png": 100,
    "rgba.png": 100,
    "grey_alpha.png": 100,
    "palette.gif": 100,
    "cmyk.jpg": 100,
    "animated.gif": 100,
    "animated.webp": 100,
    "pages.tiff": 100,
    "transparent.png": 255,
    "black_and_white.png": 255,
    "wide.jpg": 100,
    "one_pixel.png": 100,
    "no_suffix": 100,
    "broken_exif.png": 100,
    "broken_exif.webp": 100,
}
BAD = {  # and the reason that has to be given
    "truncated.png": "damaged",
    "truncated.jpg": "damaged",
    "empty.png": "not an image",
    "notes.txt": "not an image",
    "archive.png": "an archive",
    "float.tiff": "pixels of unknown range",
    "bomb.png": "too many pixels",
    "dead_link.png": "not a file",
    "pipe.png": "not a file",
}


def write_all(folder):
    """Writes all of them, `folder/deep/rgb.png` among them."""
    deep = folder / "deep" / "er"
    deep.mkdir(parents=True)
    _write_good(folder, deep)
    _write_bad(folder)


def write_hidden(folder):
    """Writes what programs leave in folders of images."""
    for name in ("__MACOSX/._1.png", ".ipynb_checkpoints/1.png", "._2.png"):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (8, 8)).save(path)
    (folder / "Thumbs.db").write_bytes(b"\0\1")
    (folder / ".DS_Store").write_bytes(b"\0\1")


def _grey(value, *shape):
    return np.full(shape, value, "uint8")


def _write_good(folder, deep):
    rgb = Image.fromarray(_grey(100, 20, 30, 3))
    rgb.save(deep / "rgb.png")
    rgb.save(folder / "no_suffix", format="png")
    Image.fromarray(_grey(100, 20, 30)).save(folder / "grey.png")
    grey16 = np.full((20, 30), 100 * 257, "uint16")
    Image.fromarray(grey16).save(folder / "grey16.png")
    for name, channels in (("rgba", 4), ("grey_alpha", 2)):
        values = _grey(100, 20, 30, channels)
        values[..., -1] = 255
        Image.fromarray(values).save(folder / f"{name}.png")
    hidden = _grey(100, 20, 30, 4)
    hidden[..., -1] = 0
    Image.fromarray(hidden).save(folder / "transparent.png")
    rgb.quantize(4).save(folder / "palette.gif", transparency=3)
    rgb.convert("CMYK").save(folder / "cmyk.jpg", quality=100)
    others = [Image.fromarray(_grey(v, 20, 30, 3)) for v in (0, 255)]
    for name in ("animated.gif", "animated.webp", "pages.tiff"):
        lossless = {"lossless": True} if name.endswith("webp") else {}
        rgb.save(folder / name, save_all=True, append_images=others, **lossless)
    Image.new("1", (9, 9), 1).save(folder / "black_and_white.png")
    rgb.resize((600, 11)).save(folder / "wide.jpg")
    rgb.resize((1, 1)).save(folder / "one_pixel.png")
    for suffix in ("png", "webp"):
        exif = b"Exif\0\0no TIFF header"
        rgb.save(folder / f"broken_exif.{suffix}", exif=exif)


def _write_bad(folder):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (90, 90, 3)).astype("uint8"))
    for suffix in ("png", "jpg"):
        path = folder / f"truncated.{suffix}"
        noise.save(path)
        path.write_bytes(path.read_bytes()[:2000])
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("no image")
    with zipfile.ZipFile(folder / "archive.png", "w") as archive:
        archive.writestr("a.txt", "a")
    values = rng.random((20, 30)).astype("float32")
    Image.fromarray(values).save(folder / "float.tiff")
    (folder / "bomb.png").write_bytes(_png_of_size(60_000, 60_000))
    (folder / "dead_link.png").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.png")


def _png_of_size(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
