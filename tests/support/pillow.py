"""What Pillow makes of an image: the measure for sizes and pixels."""
import io

import numpy as np
from PIL import Image, ImageOps

Image.MAX_IMAGE_PIXELS = None
BOXES = (50, 100, 400)
NAMES = ["original", "original_blurred"] + [f"{b}x{b}{s}" for b in BOXES for s in ("", "_blurred")]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def upright(data: bytes) -> Image.Image:
    return ImageOps.exif_transpose(opened(data))


def rgba(image: Image.Image) -> Image.Image:
    """Any mode as RGBA; 16 bits by their upper half, which Pillow's own convert() would clip."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    return image.convert("RGBA")


def thumbnail(image: Image.Image, box: int, gap: float | None = None) -> Image.Image:
    """Pillow's thumbnail. By default (gap 2.0) it averages blocks first, which is fast and some levels off its own Lanczos."""
    small = image.copy()
    small.thumbnail((box, box), Image.Resampling.LANCZOS, reducing_gap=gap)
    return small


def expected_sizes(data: bytes) -> dict[str, tuple[int, int]]:
    """Variant name -> width and height, of the upright image."""
    whole = upright(data)
    flat = Image.new("L", whole.size)  # the size is all that matters: the cheapest image of that size
    sizes = {"original": whole.size, "original_blurred": whole.size}
    for box in BOXES:
        sizes[f"{box}x{box}"] = sizes[f"{box}x{box}_blurred"] = thumbnail(flat, box).size
    return sizes


def seen(image: Image.Image) -> np.ndarray:
    """The levels one sees: what is transparent shows the grey behind it."""
    picture = rgba(image)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, (128, 128, 128, 255)), picture)).astype(int)[..., :3]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference, in levels of 255."""
    return float(np.abs(seen(one) - seen(other)).mean())


def play(data: bytes) -> tuple[int, list[int], int | None]:
    """Frames, their durations in milliseconds, and how often they loop."""
    image = Image.open(io.BytesIO(data))
    durations = []
    for n in range(getattr(image, "n_frames", 1)):
        image.seek(n)
        image.load()
        durations.append(int(image.info.get("duration", 0)))
    return len(durations), durations, image.info.get("loop")
