"""Image files: is it one, how large is it, and its pixels, in one pass.

Opens jpg, png, webp, gif, bmp and tiff by their first bytes, never by the name, each through its
own Pillow plugin: no other parser sees foreign bytes, and the pixel limit here is the only one
(`Image.open` has a process-wide limit that warns or raises by its own rules). The size is read
from the header and refused before anything is decoded. Vector and markup formats are not images
here: they can carry scripts.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from backend.errors import BadInputError, RefusedError
from backend.settings import Limits

Source = Path | bytes

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
)
"""File names that look like images; what a file is, its bytes decide."""

CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
}
"""Format of `ImageFacts` to the media type that a browser is told."""

SMALLEST_CROP, SMALLEST_SMALL_CROP = 0.6, 0.27
"""Least share of a side that a large and a small crop shows."""
FIRST_CROP, FIRST_SMALL_CROP = 2, 4
MOST_DECODED = 4096
"""Pixels of the longer side that a picture is decoded to for a crop of it."""
_HEAD = 16
_WEBP_ANIMATION, _WEBP_EXIF = 2, 8
_APNG_HEAD = 65536
"""acTL comes before the pixels, but colour profiles and texts may come before it."""
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_Opener = Callable[[IO[bytes]], ImageFile]


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image file; width and height as displayed, after EXIF orientation."""

    width: int
    height: int
    format: str

    @property
    def content_type(self) -> str:
        """The media type, as a browser wants it."""
        return CONTENT_TYPES[self.format]


def load(
    source: Source, *, at_least: int = 0, limits: Limits | None = None, name: str = ""
) -> tuple[Image.Image, ImageFacts]:
    """Check and decode an image file in one pass.

    Args:
        source: a file, or its bytes.
        at_least: pixels of the longer side that are enough; 0 decodes at full size. JPEGs are
            shrunk while decoding (by 2, 4 or 8), then anything still twice as large by an
            integer box filter, so the longer side comes out in [at_least, 2 * at_least), or at
            full size if that is smaller.
        limits: the most that is taken.
        name: how errors call it; by default the file's name.

    Returns:
        An RGB image, upright, transparency laid on white; and the facts of the file.

    Raises:
        BadInputError: empty, truncated or not an image that is taken.
        RefusedError: more pixels or bytes than the limits allow; nothing was decoded.
    """
    limits = limits or Limits()
    called = name or (source.name if isinstance(source, Path) else "the image")
    if isinstance(source, bytes):
        return _load(io.BytesIO(source), len(source), at_least, limits, called)
    try:
        with source.open("rb") as stream:
            return _load(stream, source.stat().st_size, at_least, limits, called)
    except OSError as error:
        raise BadInputError(f"{called} cannot be read: {error.strerror or error}") from error


def check_image(source: Source, limits: Limits | None = None, *, name: str = "") -> ImageFacts:
    """The facts of an image file, after decoding it (at the smallest size that its format has).

    Raises:
        BadInputError: empty, truncated or not an image that is taken.
        RefusedError: more pixels or bytes than the limits allow; nothing was decoded.
    """
    return load(source, at_least=1, limits=limits, name=name)[1]


def decode(
    source: Source, *, at_least: int = 0, limits: Limits | None = None, name: str = ""
) -> Image.Image:
    """The pixels of `load`, without the facts."""
    return load(source, at_least=at_least, limits=limits, name=name)[0]


def fixed_view(image: Image.Image, key: str, number: int) -> Image.Image:
    """One of a few ways to look at a picture, for training from what was computed once.

    0 is the picture, 1 its mirror image, 2 and above are crops: where and how large, and whether
    mirrored, `key` and the number decide alone, see `view_frame`.
    """
    if number == 0:
        return image
    if number == 1:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left, top, width, height = _frame(image.size, key, number)
    crop = image.crop((left, top, left + width, top + height))
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if _digest(key, number)[-1] % 2 else crop


def view_frame(size: tuple[int, int], key: str, number: int) -> tuple[float, float, float, float]:
    """What a fixed view shows of a picture of `size`: x, y, width, height in 0..1 of it.

    2 and 3 are large crops, each side `SMALLEST_CROP` to 0.9 of the whole, since a label of a small
    thing must still be true of them. From 4 on they hold a tenth to six tenths of the area, no side
    more than 4/3 of the other one's share: what they show has to be known by place.
    """
    if number < FIRST_CROP:
        return 0.0, 0.0, 1.0, 1.0
    left, top, width, height = _frame(size, key, number)
    return left / size[0], top / size[1], width / size[0], height / size[1]


def _frame(size: tuple[int, int], key: str, number: int) -> tuple[int, int, int, int]:
    """Left, top, width and height in pixels."""
    digest = _digest(key, number)
    one, other, right, down = (
        int.from_bytes(digest[at : at + 3], "big") / 2**24 for at in range(0, 12, 3)
    )
    if number < FIRST_SMALL_CROP:
        shares = [SMALLEST_CROP + (0.9 - SMALLEST_CROP) * each for each in (one, other)]
    else:
        area, aspect = 0.1 + 0.5 * one, (4 / 3) ** (2 * other - 1)
        shares = [min(1.0, (area * aspect) ** 0.5), min(1.0, (area / aspect) ** 0.5)]
    width, height = (max(1, round(side * share)) for side, share in zip(size, shares, strict=True))
    return int(right * (size[0] - width + 1)), int(down * (size[1] - height + 1)), width, height


def _digest(key: str, number: int) -> bytes:
    return hashlib.blake2b(f"{key}:{number}".encode(), digest_size=16).digest()


def thumbnail(source: Source | Image.Image, size: int, *, limits: Limits | None = None) -> bytes:
    """A WebP whose longer side is at most `size` pixels; smaller images keep their size."""
    image = (
        source if isinstance(source, Image.Image) else decode(source, at_least=size, limits=limits)
    )
    longer = max(image.size)
    if longer > size:
        width, height = (max(1, round(side * size / longer)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    # Method 0 took a third of the CPU of the default 4 for files a tenth larger.
    image.save(buffer, "WEBP", quality=80, method=0)
    return buffer.getvalue()


def cut_out(
    source: Source, box: tuple[float, float, float, float] | None, size: int, *, margin: float = 0.1
) -> Image.Image:
    """A box of a picture with a little of what is around it, the longer side at most `size`.

    Args:
        source: a file, or its bytes.
        box: x, y, width, height in 0..1 of the displayed picture; None for all of it.
        size: pixels.
        margin: share of the box that is added on each side.
    """
    x, y, width, height = box or (0.0, 0.0, 1.0, 1.0)
    if box is not None:
        left, top = max(x - margin * width, 0.0), max(y - margin * height, 0.0)
        right = min(x + width * (1 + margin), 1.0)
        bottom = min(y + height * (1 + margin), 1.0)
    else:
        left, top, right, bottom = 0.0, 0.0, 1.0, 1.0
    share = max(right - left, bottom - top, 0.01)
    image = decode(source, at_least=min(round(size / share), MOST_DECODED))
    wide, tall = image.size
    begin_x, begin_y = min(int(left * wide), wide - 1), min(int(top * tall), tall - 1)
    end_x, end_y = (max(round(right * wide), begin_x + 1), max(round(bottom * tall), begin_y + 1))
    crop = image.crop((begin_x, begin_y, end_x, end_y))
    crop.thumbnail((size, size), Image.Resampling.BICUBIC)
    return crop


def format_of(path: Path) -> str | None:
    """The format by the first bytes, as in `ImageFacts`; None if it is none that is taken."""
    try:
        with path.open("rb") as stream:
            known = _format_of(stream.read(_HEAD))
    except OSError:
        return None
    return known[0] if known else None


def looks_like_image(path: Path) -> bool:
    """True if the first bytes are those of a format that is taken; reads a few bytes only."""
    return format_of(path) is not None


def is_shown_otherwise(path: Path) -> bool:
    """True if a browser may show the file otherwise than it is read here; reads a few bytes.

    That is a file that moves (any GIF counts: its frames are told only by reading all of it), and
    a WebP with an EXIF block, whose orientation Chromium does not follow.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_APNG_HEAD)
    except OSError:
        return False
    known = _format_of(head[:_HEAD])
    if known is None or known[0] not in ("gif", "webp", "png"):
        return False
    if known[0] == "webp":
        return head[12:16] == b"VP8X" and bool(head[20] & (_WEBP_ANIMATION | _WEBP_EXIF))
    return known[0] == "gif" or b"acTL" in head.partition(b"IDAT")[0]


def _load(
    stream: io.BytesIO | io.BufferedReader,
    num_bytes: int,
    at_least: int,
    limits: Limits,
    name: str,
) -> tuple[Image.Image, ImageFacts]:
    if num_bytes == 0:
        raise BadInputError(f"{name} is empty (0 bytes)")
    if num_bytes > limits.upload_bytes:
        raise RefusedError(f"{name} has {num_bytes:,} bytes; the limit is {limits.upload_bytes:,}")
    head = stream.read(_HEAD)
    stream.seek(0)
    known = _format_of(head)
    if known is None:
        raise BadInputError(f"{name} is not an image that is taken: {_guess(head)}")
    file_format, opener = known
    try:
        with opener(stream) as image:
            width, height = image.size
            _refuse_bomb(width, height, limits, name)
            rgb = _pixels(image, at_least)
            # After loading: Pillow turns TIFFs itself, and then says that they are upright.
            turn = _turn(image)
    except RefusedError:
        raise
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error
        raise BadInputError(
            f"{name} is a broken or truncated {file_format} image: {error}"
        ) from error
    if turn is not None:
        rgb = rgb.transpose(turn)
    if turn in _SIDEWAYS:
        width, height = height, width
    return rgb, ImageFacts(width, height, file_format)


def _refuse_bomb(width: int, height: int, limits: Limits, name: str) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"its size is {width} x {height}")
    if width * height > limits.pixels:
        raise RefusedError(
            f"{name} has {width} x {height} = {width * height:,} pixels; "
            f"the limit is {limits.pixels:,}"
        )


def _pixels(image: ImageFile, at_least: int) -> Image.Image:
    """Decode and shrink; turning comes last, on few pixels."""
    width, height = image.size
    if at_least:
        # draft() keeps both sides at or above what it is given.
        share = at_least / max(width, height)
        image.draft(None, (max(1, int(width * share)), max(1, int(height * share))))
    image.load()
    rgb = _to_rgb(image)
    factor = max(rgb.size) // at_least if at_least else 1
    return rgb.reduce(factor) if factor > 1 else rgb


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block is no reason to refuse a good picture
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any mode that the six plugins give; transparency is laid on white.

    16-bit greys are divided by 257; 32-bit and float greys have no agreed white and are
    stretched from their own smallest to their own largest value.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        # A copy would cost as much as the conversion; the file's own object would keep it open.
        return image.copy()
    if image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float32) / 257.0
        return Image.fromarray(np.rint(values).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretched(np.asarray(image, dtype=np.float64))).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image.convert("RGB")


def _stretched(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = values[finite].min(), values[finite].max()
    scaled = (np.where(finite, values, low) - low) / max(high - low, 1e-12)
    return np.rint(scaled * 255).astype(np.uint8)


def _format_of(head: bytes) -> tuple[str, _Opener] | None:
    if head.startswith(_JPEG):
        return "jpg", JpegImagePlugin.jpeg_factory
    if head.startswith(_PNG):
        return "png", PngImagePlugin.PngImageFile
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp", WebPImagePlugin.WebPImageFile
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif", GifImagePlugin.GifImageFile
    if head[:2] == b"BM":
        return "bmp", BmpImagePlugin.BmpImageFile
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff", TiffImagePlugin.TiffImageFile
    return None


def _guess(head: bytes) -> str:
    taken = ", ".join(CONTENT_TYPES)
    if head[4:8] == b"ftyp":
        return f"it looks like HEIC, AVIF or a video; save it as one of {taken}"
    if head.startswith(b"%PDF"):
        return f"it is a PDF; save its pages as one of {taken}"
    if head.startswith(b"PK\3\4"):
        return "it is a zip archive"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return f"it is markup (SVG, HTML or XML); known are {taken}"
    return f"its first bytes are of no known format; known are {taken}"


_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
}
