"""An image as the input of a model: decoded within bounds, turned upright, in the size, colours and layout it takes.

What the card does not say is taken from the shape of the input, where that is clear.
"""

from __future__ import annotations

import io
import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raykqi.errors import ModelFailed, TooLarge, UnknownMedia, WrongInputs
from raykqi.serving.datatypes import is_float, numpy_of
from raykqi.serving.needing import need
from raykqi.serving.predictor import About, ImageCard, Layout, Tensors, TensorSpec

__all__ = ["MOST_PIXELS", "ImagePlan", "plan_of", "tensors_of_image"]

MOST_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
CHANNELS = {"L": 1, "RGB": 3}
LEAST_FLAT = 64  # values from which on a square number of them is taken for an image
SHADES = 255.0
DESCRIBE = "Describe it in model-card.yaml, as in `image: {size: [28, 28], mode: L, layout: NCHW}`."


class ImagePlan(NamedTuple):
    """`size` is (width, height); None keeps that of the image.

    `has_batch`: the input has an axis before the image. `has_colours`: it has one for colours, which greys may lack.
    """

    spec: TensorSpec
    size: tuple[int, int] | None
    channels: int
    layout: Layout
    has_batch: bool
    has_colours: bool
    card: ImageCard


def tensors_of_image(body: bytes | memoryview, about: About) -> Tensors:
    """The inputs of a model of one image. Images that are broken, unknown or too large are refused."""
    plan = plan_of(about)
    if isinstance(plan, str):
        raise UnknownMedia(f"this model takes no image: {plan}", hint=DESCRIBE)
    if len(about.inputs) > 1:
        others = ", ".join(spec.name for spec in about.inputs if spec.name != plan.spec.name)
        raise UnknownMedia(f"beside the image the model takes {others}", hint="Send all inputs as JSON.")
    pixels = _pixels(_decoded(body), plan)
    return {plan.spec.name: _laid_out(_scaled(pixels, plan), plan)}


def plan_of(about: About) -> ImagePlan | str:
    """How an image becomes an input, or why none does. A card that contradicts the model is a `ModelFailed`."""
    card = about.card.image or ImageCard()
    spec = _input(card, about.inputs)
    if spec is None:
        return "which of its inputs is the image is not said"
    if spec.datatype in ("BYTES", "BOOL"):
        return f"its input {spec.name!r} is of {spec.datatype}"
    plan = _flat(spec, card) if len(spec.shape) <= 2 else _spatial(spec, card)
    if isinstance(plan, str):
        if about.card.image:
            raise ModelFailed(f"the card's image does not fit the input {spec.name!r} of {list(spec.shape)}: {plan}")
        return plan
    for name, values in (("mean", card.mean), ("std", card.std)):
        if len(values) not in (0, 1, plan.channels):
            raise ModelFailed(
                f"the card's image.{name} has {len(values)} values for {plan.channels} colours",
                hint="Give one, or one for each colour.",
            )
    return plan


def _input(card: ImageCard, specs: tuple[TensorSpec, ...]) -> TensorSpec | None:
    if card.input:
        found = next((spec for spec in specs if spec.name == card.input), None)
        if found is None:
            names = ", ".join(spec.name for spec in specs)
            raise ModelFailed(f"the card's image is for the input {card.input!r}, and the model has {names}")
        return found
    return specs[0] if len(specs) == 1 else None


def _flat(spec: TensorSpec, card: ImageCard) -> ImagePlan | str:
    """One row of values: as many as the card says, else the square of a side."""
    values = spec.shape[-1] if spec.shape else -1
    size, channels = card.size, CHANNELS[card.mode or "L"]
    if not spec.shape and card.layout and card.layout != "flat":  # any shape, so the card alone knows
        return ImagePlan(spec, size, CHANNELS[card.mode or "RGB"], card.layout, True, True, card)
    if size is None:
        side = math.isqrt(max(0, values // channels))
        if side * side * channels != values or (card == ImageCard() and values < LEAST_FLAT):
            return f"its input {spec.name!r} has the shape {list(spec.shape)}"
        size = (side, side)
    if values not in (-1, size[0] * size[1] * channels):
        return f"{size[0]} × {size[1]} in {channels} colours are {size[0] * size[1] * channels} values, not {values}"
    return ImagePlan(spec, size, channels, "flat", len(spec.shape) != 1, True, card)


def _spatial(spec: TensorSpec, card: ImageCard) -> ImagePlan | str:
    if card.layout == "flat":
        return "its layout is not flat"
    shape = spec.shape
    has_batch = len(shape) == 4 or (len(shape) == 3 and shape[0] in (-1, 1) and shape[2] not in (1, 3))
    image = shape[1:] if has_batch else shape
    layout: Layout
    if len(image) == 2:  # greys without an axis for them
        height, width, channels, layout = image[0], image[1], 1, card.layout or "NHWC"
    elif len(image) == 3:
        found = card.layout or _layout(image)
        if found is None:
            unclear = "colours may be first or last" if image[0] in (1, 3) else "nothing is 1 or 3 colours"
            return f"its input {spec.name!r} has the shape {list(shape)}, where {unclear}"
        layout = found
        channels = image[0] if layout == "NCHW" else image[2]
        height, width = image[1:] if layout == "NCHW" else image[:2]
    else:
        return f"its input {spec.name!r} has the shape {list(shape)}"
    if channels == -1:
        channels = CHANNELS[card.mode or "RGB"]
    if channels not in CHANNELS.values():
        return f"{channels} colours are neither 1 (L) nor 3 (RGB)"
    if card.mode and CHANNELS[card.mode] != channels:
        return f"mode {card.mode} has {CHANNELS[card.mode]} colours, and the input {channels}"
    size = _size(width, height, card)
    return (
        size if isinstance(size, str) else ImagePlan(spec, size[0], channels, layout, has_batch, len(image) == 3, card)
    )


def _layout(image: tuple[int, ...]) -> Layout | None:
    first, last = image[0] in (1, 3), image[2] in (1, 3)
    if first != last:
        return "NCHW" if first else "NHWC"
    return None


def _size(width: int, height: int, card: ImageCard) -> tuple[tuple[int, int] | None] | str:
    if card.size:
        if width not in (-1, card.size[0]) or height not in (-1, card.size[1]):
            return f"size {list(card.size)} is not the {[width, height]} of the input"
        return (card.size,)
    if (width == -1) != (height == -1):
        return "only one of its sides is known"
    return (None if width == -1 else (width, height),)


def _decoded(body: bytes | memoryview) -> Any:
    """A decoded image within the bounds. Only the first of several frames."""
    module = need("PIL.Image", "to take images")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, over sizes that are bounded here
        try:
            image = module.open(io.BytesIO(body), formats=FORMATS)
        except module.DecompressionBombError as error:
            raise _too_large(str(error)) from error
        except (module.UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise UnknownMedia(f"the body is no image of a known kind ({', '.join(FORMATS)})") from error
        if image.width * image.height > MOST_PIXELS:
            raise _too_large(f"it has {image.width} × {image.height} pixels")
        try:
            image.load()
        except module.DecompressionBombError as error:
            raise _too_large(str(error)) from error
        # What decoders raise for bytes that do not fit is as manifold as they are.
        except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise WrongInputs(f"the image is broken or cut short: {' '.join(str(error).split())}") from error
        except (RuntimeError, ArithmeticError) as error:
            raise WrongInputs("the image cannot be decoded") from error
        return _upright(image)


def _upright(image: Any) -> Any:
    """As its EXIF says; where that is broken, as it is."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _pixels(image: Any, plan: ImagePlan) -> NDArray[np.uint8]:
    """Height × width × colours."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        from PIL import Image

        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    image = image.convert("L" if plan.channels == 1 else "RGB")
    if plan.size and image.size != plan.size:
        image = image.resize(plan.size, resample=2)  # bilinear
    pixels: NDArray[np.uint8] = np.asarray(image, dtype=np.uint8)
    pixels = pixels.reshape(*pixels.shape[:2], plan.channels)
    return 255 - pixels if plan.card.invert else pixels


def _eight_bits(image: Any) -> Any:
    """Of deep greys, which Pillow would cut off at 255."""
    from PIL import Image

    deep = np.nan_to_num(np.asarray(image, dtype=np.float64))
    divisor = 257.0 if image.mode.startswith("I") and (image.mode != "I" or deep.max(initial=0) > SHADES) else 1.0
    return Image.fromarray(np.clip(deep / divisor, 0, SHADES).round().astype(np.uint8))


def _scaled(pixels: NDArray[np.uint8], plan: ImagePlan) -> NDArray[Any]:
    card = plan.card
    wants_floats = is_float(plan.spec.datatype)
    scale = card.scale if card.scale is not None else (1 / SHADES if wants_floats else 1.0)
    if scale == 1.0 and not card.mean and not card.std:
        return pixels.astype(numpy_of(plan.spec.datatype))
    values = pixels.astype(np.float32) * np.float32(scale)
    if card.mean:
        values -= np.asarray(card.mean, dtype=np.float32)
    if card.std:
        values /= np.asarray(card.std, dtype=np.float32)
    return (values if wants_floats else values.round()).astype(numpy_of(plan.spec.datatype))


def _laid_out(values: NDArray[Any], plan: ImagePlan) -> NDArray[Any]:
    if plan.layout == "flat":
        values = values.reshape(-1)
    elif not plan.has_colours:
        values = values[:, :, 0]
    elif plan.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[np.newaxis] if plan.has_batch else values)


def _too_large(why: str) -> TooLarge:
    return TooLarge(f"the image is too large: {why}", hint=f"Send at most {MOST_PIXELS // 10**6} million pixels.")
