"""The same variants with libvips in the quickest way found: `thumbnail`, which shrinks while it loads, for the largest,
and the smaller ones from that.

    vips.py FILE OUT [png]     writes the variants to OUT, as PNG if asked; without arguments: starts and ends
"""
import shutil
import sys
from pathlib import Path

import pyvips

BOXES, SIGMA = (400, 100, 50), 20
OPTIONS = {".jpg": {"Q": 75}, ".jpeg": {"Q": 75}, ".webp": {"Q": 75}}


def develop(path: Path, out: Path, as_png: bool) -> None:
    ending = ".png" if as_png else path.suffix
    # every frame of a format that may have several
    source = f"{path}[n=-1]" if path.suffix in (".gif", ".webp") else str(path)

    def save(image: pyvips.Image, name: str) -> None:
        image.write_to_file(str(out / (name + ending)), keep="none", **OPTIONS.get(ending, {}))

    save(pyvips.Image.new_from_file(source, access="sequential").autorot().gaussblur(SIGMA), "original_blurred")
    # in memory, so that what is made of it does not make it again
    large = pyvips.Image.thumbnail(source, BOXES[0], height=BOXES[0], size="down").copy_memory()
    for box in BOXES:
        small = large.thumbnail_image(box, height=box, size="down").copy_memory()
        save(small, f"{box}x{box}")
        save(small.gaussblur(box / 100), f"{box}x{box}_blurred")
    shutil.copyfile(path, out / ("original" + path.suffix))


if __name__ == "__main__":
    pyvips.cache_set_max(0)
    if len(sys.argv) > 1:
        develop(Path(sys.argv[1]), Path(sys.argv[2]), "png" in sys.argv[3:])
