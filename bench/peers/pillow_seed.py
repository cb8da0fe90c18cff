"""The seed's work with Pillow: the whole image opened, blurred, and thumbnails of it, each of them blurred too.

    pillow_seed.py FILE OUT [png]     writes the variants to OUT, as PNG if asked; without arguments: starts and ends
"""
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps, ImageSequence

BOXES, SIGMA = (50, 100, 400), 20
OPTIONS = {"JPEG": {"quality": 75}, "WEBP": {"quality": 75}}


def frames(image: Image.Image) -> list[Image.Image]:
    """Upright. A palette cannot be blurred, so its colours are written out, as the seed would have had to."""
    if getattr(image, "n_frames", 1) > 1 or image.mode == "P":
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
    return [ImageOps.exif_transpose(image)]


def blurred(pictures: list[Image.Image], sigma: float) -> list[Image.Image]:
    return [picture.filter(ImageFilter.GaussianBlur(sigma)) for picture in pictures]


def thumbnails(pictures: list[Image.Image], box: int) -> list[Image.Image]:
    copies = [picture.copy() for picture in pictures]
    for copy in copies:
        copy.thumbnail((box, box), Image.Resampling.LANCZOS)
    return copies


def develop(path: Path, out: Path, as_png: bool) -> None:
    image = Image.open(path)
    kind, ending = ("PNG", ".png") if as_png else (image.format, path.suffix)
    animation = {"duration": image.info.get("duration", 100), "loop": image.info.get("loop", 0)}

    def save(pictures: list[Image.Image], name: str) -> None:
        several = {"save_all": True, "append_images": pictures[1:], **animation} if len(pictures) > 1 else {}
        pictures[0].save(out / (name + ending), kind, **OPTIONS.get(kind, {}), **several)

    pictures = frames(image)
    save(blurred(pictures, SIGMA), "original_blurred")
    for box in BOXES:
        small = thumbnails(pictures, box)
        save(small, f"{box}x{box}")
        save(blurred(small, box / 100), f"{box}x{box}_blurred")
    shutil.copyfile(path, out / ("original" + path.suffix))


if __name__ == "__main__":
    Image.init()
    if len(sys.argv) > 1:
        develop(Path(sys.argv[1]), Path(sys.argv[2]), "png" in sys.argv[3:])
