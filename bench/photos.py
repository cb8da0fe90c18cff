"""Photo-like pictures, the same on every run, for whoever brings no photos; and photos in other formats."""
import importlib.util
import io
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from .measure import PEERS

# name -> width, height, bytes: sizes a phone, a camera and a scanner send
LADDER = {"100kb": (800, 600, 100_000), "500kb": (1800, 1350, 500_000), "1mb": (2600, 1950, 1_060_000),
          "5mb": (4500, 3375, 4_730_000), "10mb": (6300, 4725, 9_740_000)}
# of scikit-image's samples, those that are photographs in colour
SAMPLES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@cache
def samples() -> list[np.ndarray]:
    spec = importlib.util.find_spec("skimage")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    return [np.asarray(Image.open(folder / name).convert("RGB")) for name in SAMPLES]


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """A wall of photos, each row begun elsewhere, every second picture mirrored, under light that falls off and grain."""
    rng = np.random.default_rng(seed)
    made = np.empty((height, width, 3), np.uint8)
    top = 0
    while top < height:
        tiles = samples()
        order = rng.permutation(len(tiles))
        tall = min(t.shape[0] for t in tiles)
        row = np.concatenate([tiles[i][:tall, ::step] for i in order for step in (1, -1)], axis=1)
        start = int(rng.integers(row.shape[1]))
        strip = np.take(row, np.arange(start, start + width), axis=1, mode="wrap")[:height - top]
        made[top:top + len(strip)] = lit(strip, top, height, rng)
        top += tall
    return Image.fromarray(made)


def lit(strip: np.ndarray, top: int, height: int, rng: np.random.Generator) -> np.ndarray:
    rows, width = strip.shape[:2]
    y = (np.arange(top, top + rows, dtype=np.float32)[:, None] / height - 0.5) ** 2
    x = (np.arange(width, dtype=np.float32)[None] / width - 0.5) ** 2
    grain = rng.standard_normal((rows, width, 1), np.float32) * 2.5
    return np.clip(strip * (1.05 - 0.6 * (x + y))[..., None] + grain, 0, 255).astype(np.uint8)


def jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def jpeg_of_size(image: Image.Image, wanted: int) -> bytes:
    """At the quality whose file comes nearest to that many bytes."""
    low, high = 30, 98
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(jpeg(image, middle)) < wanted else (low, middle)
    return min((jpeg(image, quality) for quality in (low, high)), key=lambda data: abs(len(data) - wanted))


def ladder() -> list[Path]:
    folder = PEERS / "photos" / "ladder"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (width, height, wanted)) in enumerate(LADDER.items()):
        if not (file := folder / f"{name}.jpg").exists():
            file.write_bytes(jpeg_of_size(photo(width, height, seed), wanted))
    return [folder / f"{name}.jpg" for name in LADDER]


def converted(source: Path, kind: str) -> Path:
    """The photo in another format: `progressive`, `png`, `webp` or `gif`, each the size such files have."""
    folder = PEERS / "photos" / "formats"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = f"{source.stem}-{source.stat().st_size}"
    if kind == "progressive":
        file = folder / f"{stamp}-progressive.jpg"
        if not file.exists():
            subprocess.run(["jpegtran", "-progressive", "-outfile", file, source], check=True)
        return file
    file = folder / f"{stamp}.{kind}"
    if not file.exists():
        with Image.open(source) as image:
            write_as(image.convert("RGB"), kind, file)
    return file


def write_as(image: Image.Image, kind: str, file: Path) -> None:
    """PNG and WebP of two megapixels, lossy WebP at quality 85; GIF of twenty frames that pan over the photo."""
    if kind == "gif":
        image.thumbnail((640, 640), Image.Resampling.LANCZOS)
        width, height = image.width - 60, image.height - 60
        frames = [image.crop((3 * i, 2 * i, 3 * i + width, 2 * i + height)).quantize(255) for i in range(20)]
        frames[0].save(file, save_all=True, append_images=frames[1:], duration=50, loop=0)
        return
    image.thumbnail((1700, 1700), Image.Resampling.LANCZOS)
    image.save(file, **({"quality": 85} if kind == "webp" else {}))
