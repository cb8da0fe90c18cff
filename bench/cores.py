"""How `tintype process` on a folder grows with the cores it may use."""
import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from . import docs
from .measure import OUT, PEERS, Cost, cores, run
from .photos import photo
from .report import markdown
from .tools import tintype_binary

COUNT = 48
# the share of one core below which it was not Tintype alone that ran
QUIET = 0.9


def folder_of_photos() -> Path:
    """Of three megapixels each, no two alike."""
    folder = PEERS / "photos" / "folder"
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(COUNT):
        if not (file := folder / f"{i:02}.jpg").exists():
            photo(2000, 1500, seed=1000 + i).save(file, quality=85)
    return folder


def on(count: int, binary: Path, folder: Path, work: Path) -> Cost:
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return run([binary, "process", "--json", "--out", out, folder], on=cores()[-count:], cwd=work)


def table(images: int, costs: dict[int, Cost]) -> str:
    """Efficiency: how many times as fast as on one core, of the times there could be."""
    alone = costs[1].wall_ms
    rows = [[count, f"{images / c.wall_ms * 1000:.1f}", f"{alone / c.wall_ms:.2f}", f"{alone / c.wall_ms / count:.0%}",
             f"{c.cpu_ms / images:.1f}", f"{c.cpu_ms / c.wall_ms / count:.0%}", f"{c.peak_mib:.0f}"] for count, c in costs.items()]
    head = ["cores", "images/s", "times one core", "efficiency", "CPU ms an image", "cores kept busy", "peak MiB"]
    share = costs[1].cpu_ms / alone
    busy = "" if share > QUIET else f" On one core it had {share:.0%} of it: others were at work, and the speeds tell little."
    return f"{images} images.{busy}\n\n" + markdown(head, rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/cores", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="of 32 photos or more; without it, 48 are made")
    parser.add_argument("--rounds", type=int, default=5, help="the quickest of so many counts (default 5)")
    parser.add_argument("--build", action="store_true", help="build target/release/tintype first (BIN_UNDER_TEST names another)")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/performance.md as well")
    args = parser.parse_args()
    folder = (args.folder or folder_of_photos()).resolve()
    images = sum(1 for f in folder.rglob("*") if f.is_file())
    if images < 32:
        sys.exit(f"bench: {images} files are too few: the start and the end would tell more than the work between")
    binary = tintype_binary(args.build)
    counts = range(1, len(cores()) + 1)
    costs: dict[int, list[Cost]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory(prefix="tintype-bench-") as work:
        for _ in range(args.rounds):
            for count in counts:
                costs[count].append(on(count, binary, folder, Path(work)))
    # CPU and wall of the one quickest run, so that the two belong together
    quickest = {count: min(c, key=lambda cost: cost.wall_ms) for count, c in costs.items()}
    OUT.mkdir(exist_ok=True)
    (OUT / "cores.json").write_text(json.dumps({n: c.__dict__ for n, c in quickest.items()} | {"images": images}, indent=1))
    (OUT / "cores.md").write_text(text := table(images, quickest))
    print(text)
    if args.docs:
        docs.fill("cores", text)


if __name__ == "__main__":
    main()
