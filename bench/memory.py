"""Peak memory of one process for one picture, from 1 to 100 megapixels, beside the seed's Pillow code."""
import argparse
import json
import sys
import tempfile
from pathlib import Path

from PIL import Image

from . import docs, plots
from .measure import OUT, PEERS, Cost, Failed, run
from .photos import photo
from .report import markdown
from .tools import Tool, all_tools

# megapixels -> width, height; the last stays below the default limit of 100 million pixels
SIZES = {1: (1155, 866), 3: (2000, 1500), 12: (4000, 3000), 48: (8000, 6000), 100: (11547, 8660)}
# kind -> ending, how Pillow writes it. LZW, since Pillow then cuts a TIFF into strips as scanners do.
KINDS = {"jpeg": (".jpg", {"quality": 85}), "progressive": (".jpg", {"quality": 85, "progressive": True}),
         "png": (".png", {"compress_level": 1}), "tiff": (".tif", {"compression": "tiff_lzw"}), "bmp": (".bmp", {})}
WANTED_MIB = {12: 48, 100: 64}


def made(megapixels: int, kinds: list[str]) -> dict[str, Path]:
    folder = PEERS / "photos" / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    files = {kind: folder / f"{kind}-{megapixels}mp{KINDS[kind][0]}" for kind in kinds}
    missing = {kind: file for kind, file in files.items() if not file.exists()}
    if missing:
        print(f"bench: making pictures of {megapixels} megapixels", file=sys.stderr)
        Image.MAX_IMAGE_PIXELS = None
        picture = photo(*SIZES[megapixels], seed=megapixels)
        for kind, file in missing.items():
            picture.save(file, **KINDS[kind][1])
    return files


def cost(tool: Tool, file: Path, rounds: int, work: Path) -> Cost | None:
    """Of the run that took most; none if it refused or failed."""
    costs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=work) as out:
            try:
                costs.append(run(tool.command(file, Path(out), False), cwd=Path(out)))
            except Failed as failed:
                print(f"bench: {failed}", file=sys.stderr)
                return None
    return max(costs, key=lambda c: c.peak_mib)


def row(kind: str, megapixels: int, file: Path, tools: list[Tool], rounds: int, work: Path) -> dict:
    costs = {tool.name: cost(tool, file, rounds, work) for tool in tools}
    return {"kind": kind, "megapixels": megapixels, "bytes": file.stat().st_size,
            "peak_mib": {name: c and c.peak_mib for name, c in costs.items()},
            "cpu_ms": {name: c and c.cpu_ms for name, c in costs.items()}}


def mib(figure: float | None) -> str:
    return "failed" if figure is None else f"{figure:.1f}"


def told(rows: list[dict]) -> str:
    names = list(rows[0]["peak_mib"])
    table = markdown(["format", "MP", "file MiB", *(f"{n}, peak MiB" for n in names), "Tintype, CPU ms", "wanted MiB"],
                     [[r["kind"], r["megapixels"], f"{r['bytes'] / 2**20:.1f}", *(mib(r["peak_mib"][n]) for n in names),
                       mib(r["cpu_ms"]["Tintype"]), wanted(r)] for r in rows])
    return table + "\n"


def wanted(row: dict) -> str:
    if row["kind"] != "jpeg" or row["megapixels"] not in WANTED_MIB:
        return ""
    limit, peak = WANTED_MIB[row["megapixels"]], row["peak_mib"]["Tintype"]
    return f"{limit}: {'met' if peak is not None and peak <= limit else '**not met**'}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/memory", description=__doc__)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {','.join(KINDS)}")
    parser.add_argument("--megapixels", default=",".join(map(str, SIZES)), help=f"of {','.join(map(str, SIZES))}")
    parser.add_argument("--rounds", type=int, default=2, help="the most of so many runs counts (default 2)")
    parser.add_argument("--build", action="store_true", help="build target/release/tintype first (BIN_UNDER_TEST names another)")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/performance.md as well")
    args = parser.parse_args()
    tools = all_tools(args.build)[:2]
    rows = []
    with tempfile.TemporaryDirectory(prefix="tintype-bench-") as work:
        for megapixels in map(int, args.megapixels.split(",")):
            for kind, file in made(megapixels, args.kinds.split(",")).items():
                rows.append(row(kind, megapixels, file, tools, args.rounds, Path(work)))
                peaks = ", ".join(f"{name} {mib(peak)} MiB" for name, peak in rows[-1]["peak_mib"].items())
                print(f"bench: {kind} {megapixels} MP: {peaks}", file=sys.stderr)
    rows.sort(key=lambda r: list(KINDS).index(r["kind"]))
    OUT.mkdir(exist_ok=True)
    (OUT / "memory.json").write_text(json.dumps(rows, indent=1))
    (OUT / "memory.md").write_text(text := told(rows))
    plots.memory(rows, WANTED_MIB, OUT / "memory.png")
    print(text)
    if args.docs:
        docs.fill("memory", text, {"memory.png": "Peak memory by megapixels"})


if __name__ == "__main__":
    main()
