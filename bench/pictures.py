"""Pictures as numbers, and what each variant ought to be, to a precision no codec has."""
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from .measure import PEERS
from .tools import BOXES, SIGMAS

Image.MAX_IMAGE_PIXELS = None
# References are kept as whole 256ths of a level. The rounding is 107 dB down, far below anything measured.
STEP = 256


def load(path: Path) -> list[np.ndarray]:
    """Every frame, upright, RGB, 0 to 255, height x width x 3."""
    with Image.open(path) as image:
        return [np.asarray(ImageOps.exif_transpose(frame).convert("RGB")) for frame in ImageSequence.Iterator(image)]


def kind(path: Path) -> str | None:
    """`jpeg`, `progressive`, `png`, `webp`, `gif` or another; none if Pillow cannot read it."""
    try:
        with Image.open(path) as image:
            return "progressive" if image.info.get("progressive") else image.format.lower()
    except OSError:
        return None


def lanczos_weights(source: int, target: int) -> np.ndarray:
    """Each row weighs one target sample: Lanczos-3, widened by the scale, cut at the edges, summing to 1."""
    scale = max(source / target, 1)
    centres = (np.arange(target) + 0.5) * source / target
    x = (np.arange(source)[None] + 0.5 - centres[:, None]) / scale
    weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def lanczos(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """To width and height, in double precision; what overshoots is cut only at the end, as a picture must."""
    width, height = size
    if picture.shape[:2] == (height, width):
        return picture.astype(np.float64)
    down, across = lanczos_weights(picture.shape[0], height), lanczos_weights(picture.shape[1], width).T
    planes = [down @ picture[..., c].astype(np.float64) @ across for c in range(3)]
    return np.clip(np.stack(planes, -1), 0, 255)


def gaussian(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Out to five sigma, the edges extended. One plane at a time, for a large picture is large in doubles."""
    def plane(c: int) -> np.ndarray:
        down = along_rows(picture[..., c].astype(np.float64).T, sigma)
        return along_rows(down.T, sigma).astype(np.float32)
    return np.stack([plane(c) for c in range(3)], -1)


def along_rows(plane: np.ndarray, sigma: float, block: int = 256) -> np.ndarray:
    """A block of columns at a time, as a product with a band of weights: the quickest way to do this exactly."""
    reach = int(np.ceil(5 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    offset = np.arange(block + 2 * reach)[:, None] - np.arange(block)[None]
    band = np.where((offset >= 0) & (offset <= 2 * reach), (taps / taps.sum())[np.clip(offset, 0, 2 * reach)], 0)
    padded = np.pad(plane, ((0, 0), (reach, reach)), mode="edge")
    out = np.empty_like(plane)
    for left in range(0, plane.shape[1], block):
        wide = min(block, plane.shape[1] - left)
        out[:, left:left + wide] = padded[:, left:left + wide + 2 * reach] @ band[:wide + 2 * reach, :wide]
    return out


class Reference:
    """The exact variants of one file, made when first asked for and kept."""

    def __init__(self, file: Path):
        self.file = file
        self.frames: list[np.ndarray] | None = None
        self.folder = PEERS / "reference" / hashlib.sha256(file.read_bytes()).hexdigest()[:20]

    def variant(self, name: str, size: tuple[int, int]) -> np.ndarray:
        """frames x height x width x 3, in levels. `size` is the tool's own, for roundings differ by a pixel."""
        kept = self.folder / f"{name}-{size[0]}x{size[1]}.npy"
        if not kept.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            np.save(kept, np.stack([np.round(self.make(frame, name, size) * STEP).astype(np.uint16) for frame in self.originals()]))
        return np.load(kept, mmap_mode="r")

    def originals(self) -> list[np.ndarray]:
        if self.frames is None:
            self.frames = load(self.file)
        return self.frames

    def make(self, frame: np.ndarray, name: str, size: tuple[int, int]) -> np.ndarray:
        sized = lanczos(frame, size) if name in BOXES else frame
        return gaussian(sized, SIGMAS[name]) if name in SIGMAS else sized


LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def psnr(made: list[np.ndarray], reference: np.ndarray) -> dict[str, float] | None:
    """Of RGB and of luma, in dB, over all frames; none if the frames are not as many."""
    if len(made) != len(reference):
        return None
    # by rows, so that a large picture is never held in floats whole
    rgb = luma = count = 0.0
    for picture, exact in zip(made, reference):
        for top in range(0, len(picture), 256):
            error = picture[top:top + 256].astype(np.float32) - np.asarray(exact[top:top + 256], np.float32) / STEP
            rgb += float(np.square(error, dtype=np.float64).sum())
            luma += float(np.square(error @ LUMA, dtype=np.float64).sum())
            count += error.shape[0] * error.shape[1]
    return {"rgb": decibels(rgb / count / 3), "luma": decibels(luma / count)}


def decibels(mean_square: float) -> float:
    """Of 255 levels; 120 stands for no difference that could be seen here."""
    return 120.0 if mean_square <= 255**2 / 1e12 else float(10 * np.log10(255**2 / mean_square))
