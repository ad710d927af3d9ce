"""Made pictures with one red spot, in every form that could shift a map against what is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Maker = Callable[[Path], None]
SPOT = (0.70, 0.20)
"""Where the spot's middle is, in shares of width and height as displayed."""


def spotted(width: int, height: int, *, at: tuple[float, float] = SPOT) -> Image.Image:
    """A pale picture with a red ellipse of a sixth of each side around `at`."""
    down, right = np.mgrid[0:height, 0:width]
    apart = ((right + 0.5) / width - at[0]) ** 2 + ((down + 0.5) / height - at[1]) ** 2
    pixels = np.full((height, width, 3), (200, 215, 225), np.uint8)
    pixels[apart < (1 / 12) ** 2] = (225, 20, 20)
    return Image.fromarray(pixels)


def turned(path: Path, orientation: int) -> None:
    """Stored lying on its side; the EXIF block says how to turn it upright."""
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    spotted(300, 180).transpose(back).save(path, exif=exif)


def clear(path: Path) -> None:
    """Black behind what is fully transparent: a browser that shows it shows another picture."""
    picture = np.asarray(spotted(240, 200)).copy()
    is_spot = picture[:, :, 0] > picture[:, :, 1] + 100
    picture[~is_spot] = 0
    alpha = np.where(is_spot, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([picture, alpha])).save(path)


def moving(path: Path) -> None:
    """The spot jumps in the second frame; the encoder reads the first."""
    frames = [spotted(200, 160), spotted(200, 160, at=(0.2, 0.8))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80, loop=0)


def deep(path: Path) -> None:
    """16 bits of grey, the spot bright."""
    grey = np.asarray(spotted(220, 170)).astype(np.uint16)
    bright = np.where(grey[:, :, 0] > grey[:, :, 1] + 100, 65535, 9000).astype(np.uint16)
    Image.fromarray(bright).save(path)


PICTURES: dict[str, Maker] = {
    "plain.jpg": lambda path: spotted(320, 240).save(path, quality=95),
    "tall.png": lambda path: spotted(24, 960).save(path),
    "wide.png": lambda path: spotted(960, 24).save(path),
    "turned6.jpg": lambda path: turned(path, 6),
    "turned3.jpg": lambda path: turned(path, 3),
    "turned6.webp": lambda path: turned(path, 6),
    "turned6.png": lambda path: turned(path, 6),
    "turned6.tiff": lambda path: turned(path, 6),
    "cmyk.jpg": lambda path: spotted(260, 200).convert("CMYK").save(path, quality=95),
    "deep.png": deep,
    "deep.tiff": deep,
    "clear.png": clear,
    "clear.webp": clear,
    "moving.gif": moving,
    "moving.webp": moving,
    "moving.png": moving,
}


def spot_of(pixels: np.ndarray) -> tuple[float, float] | None:
    """The middle of the spot in RGB pixels, in shares of width and height."""
    rgb = pixels.astype(int)
    is_red = (rgb[..., 0] > 130) & (rgb[..., 0] - np.maximum(rgb[..., 1], rgb[..., 2]) > 60)
    if not is_red.any():
        is_red = rgb.min(axis=2) > 245  # of the 16-bit greys
    down, right = np.nonzero(is_red)
    if not len(down):
        return None
    return (right.mean() + 0.5) / pixels.shape[1], (down.mean() + 0.5) / pixels.shape[0]
