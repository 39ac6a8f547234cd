"""Images as inputs: sizes, colours, layouts and turns, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raykqi.errors import ModelFailed, TooLarge, UnknownMedia, WrongInputs
from raykqi.serving.images import plan_of, tensors_of_image
from raykqi.serving.predictor import About, Card, Datatype, ImageCard, TensorSpec

QUARTERS = np.array([[0, 51], [102, 255]], np.uint8)  # of 255: 0, 0.2, 0.4, 1
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


def model(*shape: int, datatype: Datatype = "FP32", image: ImageCard | None = None) -> About:
    return About("onnx", "onnxruntime_onnx", (TensorSpec("x", datatype, shape),), card=Card(image=image), batches=True)


def encoded(pixels: Any, kind: str = "PNG", **how: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    made = io.BytesIO()
    image.save(made, kind, **how)
    return made.getvalue()


def read(body: bytes, about: About) -> Any:
    (tensor,) = tensors_of_image(body, about).values()
    return tensor


def rounded(tensor: Any) -> Any:
    return tensor.astype(np.float64).round(4).tolist()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((-1, 1, 2, 2), [[[[0.0, 0.2], [0.4, 1.0]]]]),
        ((1, 1, 2, 2), [[[[0.0, 0.2], [0.4, 1.0]]]]),
        ((-1, 2, 2, 1), [[[[0.0], [0.2]], [[0.4], [1.0]]]]),
        ((-1, 2, 2), [[[0.0, 0.2], [0.4, 1.0]]]),
        ((1, 2, 2), [[[0.0, 0.2], [0.4, 1.0]]]),
        ((2, 2, 1), [[[0.0], [0.2]], [[0.4], [1.0]]]),
    ],
)
def test_the_shape_of_the_input_says_how_greys_are_laid_out(shape: tuple[int, ...], expected: Any) -> None:
    tensor = read(encoded(QUARTERS), model(*shape))

    assert tensor.dtype == np.float32
    assert rounded(tensor) == expected


def test_colours_come_first_or_last() -> None:
    first, last = read(encoded(COLOURS), model(-1, 3, 2, 2)), read(encoded(COLOURS), model(-1, 2, 2, 3))

    assert first.tolist() == [[[[1, 0], [0, 1]], [[0, 1], [0, 1]], [[0, 0], [1, 1]]]]
    assert (last[0] * 255).tolist() == COLOURS.tolist()


def test_an_input_of_bytes_gets_the_pixels_as_they_are() -> None:
    assert read(encoded(COLOURS), model(-1, 2, 2, 3, datatype="UINT8"))[0].tolist() == COLOURS.tolist()


def test_a_row_of_values_is_a_square_of_greys() -> None:
    square = np.arange(64, dtype=np.uint8).reshape(8, 8)

    assert read(encoded(square), model(-1, 64, datatype="UINT8")).tolist() == [list(range(64))]
    assert isinstance(plan_of(model(-1, 65)), str)
    assert isinstance(plan_of(model(-1, 4)), str)  # four features are no image of two by two


def test_the_card_says_what_the_shape_leaves_open() -> None:
    card = ImageCard(size=(2, 1), mode="RGB", layout="NCHW", scale=1.0, mean=(1.0, 2.0, 3.0), std=(2.0,))
    tensor = read(encoded(np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)), model(-1, 3, -1, -1, image=card))

    assert tensor.tolist() == [[[[4.5, 19.5]], [[9.0, 24.0]], [[13.5, 28.5]]]]


def test_a_card_may_describe_an_input_of_any_shape() -> None:
    card = ImageCard(size=(2, 2), mode="L", layout="NCHW")

    assert read(encoded(QUARTERS), model(image=card)).shape == (1, 1, 2, 2)


def test_an_input_of_any_size_keeps_that_of_the_image() -> None:
    assert read(encoded(np.zeros((3, 5), np.uint8)), model(-1, 1, -1, -1)).shape == (1, 1, 3, 5)


def test_an_image_is_resized_and_inverted() -> None:
    card = ImageCard(invert=True)

    assert rounded(read(encoded(np.full((9, 7), 51, np.uint8)), model(-1, 1, 2, 2, image=card))) == [
        [[[0.8, 0.8], [0.8, 0.8]]]
    ]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP"])
def test_every_known_kind_is_read(kind: str) -> None:
    how = {"lossless": True} if kind == "WEBP" else {}

    assert rounded(read(encoded(np.full((2, 2), 102, np.uint8), kind, **how), model(-1, 1, 2, 2))) == [
        [[[0.4, 0.4], [0.4, 0.4]]]
    ]


def test_a_turned_photograph_is_set_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    body = encoded(np.array([[0, 0], [255, 255]], np.uint8).repeat(8, 0).repeat(8, 1), "JPEG", exif=exif, quality=100)

    assert read(body, model(-1, 1, 2, 2)).round()[0, 0].tolist() == [[1.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (2, 2), (0, 0, 0, 0)), [1.0, 1.0, 1.0]),
        (Image.new("LA", (2, 2), (0, 255)), [0.0, 0.0, 0.0]),
        (Image.new("1", (2, 2), 1), [1.0, 1.0, 1.0]),
        (Image.new("I;16", (2, 2), 257 * 51), [0.2, 0.2, 0.2]),
        (Image.new("RGB", (2, 2), (51, 102, 255)), [0.2, 0.4, 1.0]),
        (Image.new("RGB", (2, 2), (255, 0, 0)).quantize(2), [1.0, 0.0, 0.0]),
    ],
)
def test_every_mode_becomes_colours_and_nothing_shows_through(image: Image.Image, expected: list[float]) -> None:
    assert rounded(read(encoded(image), model(-1, 2, 2, 3))) == [[[expected] * 2] * 2]


def test_a_print_in_four_colours_is_read() -> None:
    body = encoded(Image.new("CMYK", (2, 2), (255, 255, 0, 0)), "JPEG", quality=100)

    red, green, blue = read(body, model(-1, 3, 2, 2))[0, :, 0, 0].tolist()

    assert red < 0.1
    assert green < 0.1
    assert blue > 0.9


def bomb(width: int, height: int) -> bytes:
    """A PNG that says to be that large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


@pytest.mark.parametrize("sides", [(10_000, 5_001), (60_000, 60_000)])
def test_an_image_that_would_fill_the_memory_is_refused(sides: tuple[int, int]) -> None:
    with pytest.raises(TooLarge) as raised:
        read(bomb(*sides), model(-1, 1, 2, 2))

    assert raised.value.message.startswith("the image is too large: ")
    assert raised.value.hint == "Send at most 50 million pixels."


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_an_image_that_is_cut_short_is_refused_wherever_it_ends(kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    body = encoded(pixels, kind)

    for end in range(0, len(body) - 16, max(1, len(body) // 40)):
        try:
            read(body[:end], model(-1, 3, 2, 2))
        except (WrongInputs, UnknownMedia):
            continue
        pytest.fail(f"{kind} of {end} of {len(body)} bytes was taken")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"])
def test_bytes_that_are_damaged_are_read_or_refused(kind: str) -> None:
    random = np.random.default_rng(1)
    body = encoded(random.integers(0, 255, (16, 16, 3)).astype(np.uint8), kind)

    for _ in range(60):
        damaged = bytearray(body)
        for place in random.integers(0, len(body), 3):
            damaged[place] = random.integers(0, 256)
        try:
            assert read(bytes(damaged), model(-1, 3, 2, 2)).shape == (1, 3, 2, 2)
        except (WrongInputs, UnknownMedia, TooLarge):
            continue


@pytest.mark.parametrize("body", [b"", b"text", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>"])
def test_what_is_no_image_of_a_known_kind_is_refused(body: bytes) -> None:
    with pytest.raises(UnknownMedia, match="the body is no image of a known kind"):
        read(body, model(-1, 1, 2, 2))


@pytest.mark.parametrize(
    ("about", "why"),
    [
        (model(-1, 4), "its input 'x' has the shape [-1, 4]"),
        (model(-1, 3, 4, 3), "its input 'x' has the shape [-1, 3, 4, 3], where colours may be first or last"),
        (model(-1, 7, 8, 8), "its input 'x' has the shape [-1, 7, 8, 8], where nothing is 1 or 3 colours"),
        (model(-1, 64, datatype="BYTES"), "its input 'x' is of BYTES"),
        (model(), "its input 'x' has the shape []"),
        (model(-1, 1, 1, 2, 2), "its input 'x' has the shape [-1, 1, 1, 2, 2]"),
    ],
)
def test_a_model_of_something_else_takes_no_image(about: About, why: str) -> None:
    with pytest.raises(UnknownMedia) as raised:
        read(encoded(QUARTERS), about)

    assert raised.value.message.startswith("this model takes no image: ")
    assert raised.value.message.endswith(why)


def test_a_model_of_an_image_and_more_is_asked_by_json() -> None:
    specs = (TensorSpec("x", "FP32", (-1, 1, 2, 2)), TensorSpec("scale", "FP32", (-1,)))
    about = About("onnx", "onnxruntime_onnx", specs, card=Card(image=ImageCard(input="x")), batches=True)

    with pytest.raises(UnknownMedia, match="beside the image the model takes scale"):
        read(encoded(QUARTERS), about)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (model(-1, 3, 2, 2, image=ImageCard(mode="L")), "mode L has 1 colours, and the input 3"),
        (model(-1, 1, 2, 2, image=ImageCard(size=(2, 3))), "size [2, 3] is not the [2, 2] of the input"),
        (model(-1, 1, 2, 2, image=ImageCard(layout="flat")), "its layout is not flat"),
        (model(-1, 5, image=ImageCard(size=(2, 2))), "2 × 2 in 1 colours are 4 values, not 5"),
        (model(-1, 3, 2, 2, image=ImageCard(mean=(1.0, 2.0))), "the card's image.mean has 2 values for 3 colours"),
        (model(-1, 3, 2, 2, image=ImageCard(input="y")), "the card's image is for the input 'y', and the model has x"),
    ],
)
def test_a_card_that_does_not_fit_the_model_is_told(about: About, message: str) -> None:
    with pytest.raises(ModelFailed) as raised:
        plan_of(about)

    assert raised.value.message.endswith(message)
