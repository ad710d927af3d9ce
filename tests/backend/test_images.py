"""One image file: what is taken, what is refused with which words, and how it is shown."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend import images
from backend.errors import BadInputError, PatchlaneError, RefusedError
from backend.settings import Limits


def photo(width: int, height: int) -> Image.Image:
    """A smooth picture with a bright red top-left corner, so that turns can be seen."""
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    rgb = np.stack([xs / width * 90, ys / height * 90, 60 + 0 * xs], axis=2).astype(np.uint8)
    rgb[: height // 3, : width // 3] = (250, 10, 10)
    return Image.fromarray(rgb)


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


@pytest.mark.parametrize(
    ("pillow_format", "called"),
    [
        ("JPEG", "jpg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
    ],
)
def test_each_format_is_decoded_to_its_pixels(pillow_format: str, called: str) -> None:
    original = photo(90, 60)
    image, facts = images.load(encoded(original, pillow_format))
    assert facts == images.ImageFacts(90, 60, called)
    assert image.mode == "RGB"
    off = np.abs(np.asarray(image, np.int16) - np.asarray(original, np.int16)).mean()
    assert off < 4, "lossy formats stay near, lossless ones are equal"


@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(pillow_format: str, orientation: int) -> None:
    upright = photo(90, 60)
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if back is None else upright.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, pillow_format, exif=exif)
    image, facts = images.load(data)
    assert (facts.width, facts.height) == image.size == (90, 60)
    assert np.asarray(image)[5, 5, 0] > 200, "the red corner is top left"
    assert np.asarray(image)[55, 85, 0] < 130
    shrunk = images.decode(data, at_least=45)
    assert shrunk.size == (45, 30)
    assert np.asarray(shrunk)[3, 3, 0] > 200


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_cost_a_good_picture() -> None:
    data = encoded(photo(40, 30), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert images.check_image(data).width == 40


@pytest.mark.parametrize(
    ("at_least", "longer"),
    [
        (0, 1600),
        (1600, 1600),
        (900, 1600),
        (800, 800),
        (300, 400),
        (200, 200),
        (64, 67),
        (5000, 1600),
    ],
)
def test_at_least_speaks_of_the_longer_side(at_least: int, longer: int) -> None:
    data = encoded(photo(1600, 1000), "JPEG", quality=95)
    image, facts = images.load(data, at_least=at_least)
    assert max(image.size) == longer
    assert (facts.width, facts.height) == (1600, 1000), "facts speak of the file, not the decode"
    full = images.decode(data).resize(image.size, Image.Resampling.BOX)
    off = np.abs(np.asarray(image, np.int16) - np.asarray(full, np.int16)).mean()
    assert off < 2, "shrinking while decoding shows the same picture"


def test_at_least_shrinks_formats_without_draft_mode_too() -> None:
    data = encoded(photo(1600, 1000), "PNG")
    assert images.decode(data, at_least=300).size == (320, 200)


def test_long_thin_images_keep_a_pixel() -> None:
    assert min(images.decode(encoded(photo(3000, 3), "JPEG"), at_least=64).size) == 1
    assert images.thumbnail(encoded(photo(3000, 3), "PNG"), 64)


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.putpixel((0, 0), (200, 0, 0, 255))
    for data in (
        encoded(clear, "PNG"),
        encoded(clear, "WEBP", lossless=True),
        encoded(clear.convert("P"), "PNG", transparency=clear.convert("P").getpixel((4, 4))),
        encoded(clear.convert("LA"), "PNG"),
    ):
        assert images.decode(data).getpixel((4, 4)) == (255, 255, 255)
    assert images.decode(encoded(clear, "PNG")).getpixel((0, 0)) == (200, 0, 0)
    keyed = Image.new("RGB", (8, 8), (1, 2, 3))
    assert images.decode(encoded(keyed, "PNG", transparency=(1, 2, 3))).getpixel((0, 0)) == (
        255,
        255,
        255,
    )


def test_deep_greys_keep_their_range() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for pillow_format in ("PNG", "TIFF"):
        pixels = np.asarray(images.decode(encoded(Image.fromarray(ramp), pillow_format)))
        assert np.abs(pixels[..., 0].ravel().astype(int) - np.arange(256)).max() <= 1
    heat = np.array([[-1.0, 0.0], [np.nan, 3.0]], np.float32)
    pixels = np.asarray(images.decode(encoded(Image.fromarray(heat), "TIFF")))[..., 0]
    assert pixels.tolist() == [[0, 64], [0, 255]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_other_modes_become_rgb(mode: str) -> None:
    source = photo(30, 20)
    if mode == "LAB":
        data = encoded(Image.new("LAB", (30, 20), (128, 128, 128)), "TIFF")
    else:
        data = encoded(source.convert(mode), "JPEG" if mode == "YCbCr" else "TIFF")
    image = images.decode(data)
    assert (image.mode, image.size) == ("RGB", (30, 20))
    if mode in ("CMYK", "YCbCr"):
        assert np.abs(np.asarray(image, int) - np.asarray(source, int)).mean() < 6


def test_an_animation_gives_its_first_frame() -> None:
    red, blue = (Image.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
    for pillow_format in ("GIF", "WEBP", "PNG"):
        data = encoded(red, pillow_format, save_all=True, append_images=[blue], duration=50)
        pixel = images.decode(data).getpixel((8, 8))
        assert pixel[0] > 240
        assert pixel[2] < 15


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty (0 bytes)"),
        (b"just a text, long enough to be one", "no known format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "markup"),
        (b"\xef\xbb\xbf\n <html><body>", "markup"),
        (b"%PDF-1.7 ........", "PDF"),
        (b"PK\x03\x04........", "zip archive"),
        (b"\0\0\0\x1cftypheic....", "HEIC"),
        (b"\xff\xd8\xff\xe0", "broken or truncated jpg"),
        (b"\x89PNG\r\n\x1a\n", "broken or truncated png"),
        (b"BMW is not a bitmap", "broken or truncated bmp"),
        (b"GIF89a", "broken or truncated gif"),
        (b"II*\0\x08\0\0\0", "broken or truncated tiff"),
        (b"RIFF\xff\0\0\0WEBPVP8 ", "broken or truncated webp"),
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    with pytest.raises(BadInputError) as caught:
        images.check_image(path)
    assert str(caught.value).startswith("holiday.jpg is ")
    assert words in str(caught.value)


@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_files_are_refused_at_every_size(pillow_format: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8))
    data = encoded(noise, pillow_format)
    cut = data[: int(len(data) * share)]
    for at_least in (0, 1, 64):
        with pytest.raises(BadInputError, match="broken or truncated"):
            images.load(cut, at_least=at_least)


def test_bombs_are_refused_before_decoding() -> None:
    with pytest.raises(RefusedError) as caught:
        images.check_image(png_header(60_000, 60_000), name="bomb.png")
    assert str(caught.value) == (
        "bomb.png has 60000 x 60000 = 3,600,000,000 pixels; the limit is 200,000,000"
    )
    with pytest.raises(RefusedError, match="the limit is 99"):
        images.check_image(encoded(photo(10, 10), "JPEG"), Limits(pixels=99))
    assert images.check_image(encoded(photo(10, 10), "JPEG"), Limits(pixels=100)).width == 10


def test_pillows_own_smaller_limit_does_not_get_in_the_way() -> None:
    # 190 million pixels: above what Image.open takes, below our limit; one bit per pixel here.
    wide = Image.new("1", (19_000, 10_000), 1)
    data = encoded(wide, "PNG")
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    assert images.load(data, at_least=100, limits=Limits())[0].getpixel((0, 0)) == (255,) * 3


def test_byte_limit_is_said() -> None:
    with pytest.raises(RefusedError, match="the limit is 100"):
        images.check_image(encoded(photo(50, 50), "PNG"), Limits(upload_bytes=100))


def test_noise_bytes_never_raise_anything_else() -> None:
    rng = np.random.default_rng(7)
    good = [encoded(photo(64, 48), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")]
    opened = 0
    for data in good:
        for _ in range(60):
            broken = bytearray(data)
            for at in rng.integers(0, len(broken), 8):
                broken[at] = rng.integers(0, 256)
            try:
                image, facts = images.load(bytes(broken), at_least=32, limits=Limits(pixels=10**6))
            except PatchlaneError:
                continue
            assert image.mode == "RGB"
            assert facts.width * facts.height <= 10**6
            opened += 1
    assert 0 < opened < 60 * len(good), "both ends were met"


def test_missing_files_are_said() -> None:
    with pytest.raises(BadInputError, match=r"nowhere\.jpg cannot be read: No such file"):
        images.check_image(Path("nowhere.jpg"))


def test_thumbnail_is_a_small_webp_of_the_same_picture() -> None:
    data = encoded(photo(1200, 600), "JPEG")
    small = images.thumbnail(data, 128)
    image, facts = images.load(small)
    assert (facts.format, image.size) == ("webp", (128, 64))
    assert image.getpixel((5, 5))[0] > 200
    tiny = images.load(images.thumbnail(encoded(photo(20, 10), "PNG"), 128))[1]
    assert (tiny.width, tiny.height) == (20, 10), "small images are not blown up"


def test_looks_like_image_reads_bytes_not_names(tmp_path: Path) -> None:
    text = tmp_path / "a.jpg"
    text.write_text("a text")
    assert not images.looks_like_image(text)
    picture = tmp_path / "b.txt"
    picture.write_bytes(encoded(photo(5, 5), "GIF"))
    assert images.looks_like_image(picture)
    assert not images.looks_like_image(tmp_path / "absent.png")


@pytest.mark.parametrize(
    ("suffix", "frames", "expected"),
    [("gif", 2, True), ("webp", 2, True), ("webp", 1, False), ("png", 2, True), ("png", 1, False)],
)
def test_what_a_browser_shows_otherwise_is_told_by_its_first_bytes(
    tmp_path, suffix, frames, expected
):
    pictures = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")[:frames]]
    path = tmp_path / f"a.{suffix}"
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(path, **more)
    assert images.is_shown_otherwise(path) is expected


def test_what_is_no_picture_is_not_shown_at_all(tmp_path):
    text = tmp_path / "a.gif"
    text.write_text("no picture")
    assert not images.is_shown_otherwise(text)
    assert not images.is_shown_otherwise(tmp_path / "missing.png")


@pytest.mark.parametrize(("suffix", "expected"), [("webp", True), ("png", False), ("jpg", False)])
def test_only_a_webp_loses_its_orientation_in_a_browser(tmp_path, suffix, expected):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (8, 6)).save(path, exif=exif)
    assert images.is_shown_otherwise(path) is expected
