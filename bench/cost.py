"""What a photo costs on Lambda, by a model from measured CPU time, beside the figures the seed published."""
import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from . import docs, plots
from .compare import files_of
from .lambda_model import ONE_CORE_MB, Setting, cheapest, price, settings
from .measure import OUT, Cost, least, run
from .report import markdown
from .tools import Tool, all_tools

# bytes -> the seed's published ms, by MB of memory; its calls were warm and wrote to S3
SEED_MS = {
    100_000: {512: 1073, 1024: 706, 2048: 656, 4096: 616},
    500_000: {512: 3962, 1024: 2458, 2048: 1382, 4096: 1478},
    1_000_000: {512: 4806, 1024: 2423, 2048: 1578, 4096: 1672},
    5_000_000: {512: 17140, 1024: 9006, 2048: 5517, 4096: 5646},
    10_000_000: {512: 24709, 1024: 11567, 2048: 6992, 4096: 6785},
}


def measured(tool: Tool, file: Path, rounds: int) -> Cost:
    costs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="tintype-bench-") as out:
            costs.append(run(tool.command(file, Path(out), False), cwd=Path(out)))
    return least(costs)


def steps(files: list[Path]) -> dict[int, Path]:
    """The seed's sizes, each with the file nearest to it, if one is within a third of it."""
    near = {size: min(files, key=lambda f: abs(f.stat().st_size - size)) for size in SEED_MS}
    return {size: file for size, file in near.items() if abs(file.stat().st_size - size) <= size / 3}


def size_name(size: int) -> str:
    return f"{size // 1_000_000} MB" if size >= 1_000_000 else f"{size // 1000} KB"


def photo_told(size: int, file: Path, tintype: Tool, seed: Tool, rounds: int) -> dict:
    """The seed's code is charged without its start, since its published calls were warm; Tintype with it."""
    own, pillow = measured(tintype, file, rounds), measured(seed, file, max(rounds // 2, 1))
    start = least([run(seed.startup) for _ in range(rounds)])
    return {"size": size, "file_bytes": file.stat().st_size, "tintype": asdict(own), "pillow": asdict(pillow),
            "tintype_settings": [asdict(s) for s in settings(own.cpu_ms, own.peak_mib)],
            "pillow_settings": [asdict(s) for s in settings(pillow.cpu_ms - start.cpu_ms, pillow.peak_mib)]}


def cell(setting: Setting) -> str:
    """ms and dollars a million, or that it does not fit."""
    return f"{setting.ms} ms, ${setting.dollars_per_million:.2f}" if setting.fits else "does not fit"


def published_cell(mb: int, published: dict[int, int]) -> str:
    return f"{published[mb]} ms, ${price(mb, published[mb]):.2f}" if mb in published else ""


def text_of(told: list[dict]) -> str:
    parts = []
    for photo in told:
        own, pillow = ([Setting(**s) for s in photo[who]] for who in ("tintype_settings", "pillow_settings"))
        published = SEED_MS[photo["size"]]
        rows = [[o.memory_mb, cell(o), cell(p), published_cell(o.memory_mb, published)] for o, p in zip(own, pillow)]
        parts.append(f"**{size_name(photo['size'])}** ({photo['file_bytes']} bytes): Tintype {photo['tintype']['cpu_ms']:.1f} ms of CPU, "
                     f"peak {photo['tintype']['peak_mib']:.0f} MiB. {in_short(cheapest(own), cheapest(pillow), published)}\n\n"
                     + markdown(["MB", "Tintype, modelled", "seed's code here, modelled", "seed, published"], rows))
    return "\n\n".join([*parts, overall(told)]) + "\n"


def in_short(own: Setting, pillow: Setting, published: dict[int, int]) -> str:
    best_published = min(price(mb, ms) for mb, ms in published.items())
    return (f"Cheapest: {own.memory_mb} MB, {own.ms} ms, ${own.dollars_per_million:.2f}. The seed's code by the same model: "
            f"${pillow.dollars_per_million:.2f}, {pillow.dollars_per_million / own.dollars_per_million:.1f} times as much; its cheapest "
            f"published: ${best_published:.2f}, {best_published / own.dollars_per_million:.0f} times.")


def overall(told: list[dict]) -> str:
    """One function gets photos of every size: as many of each, and the setting must hold them all."""
    columns = zip(*([Setting(**s) for s in photo["tintype_settings"]] for photo in told))
    means = [Setting(column[0].memory_mb, max(s.ms for s in column), sum(s.dollars_per_million for s in column) / len(column),
                     all(s.fits for s in column)) for column in columns]
    best, smallest = cheapest(means), next(s for s in means if s.fits)
    return (f"**Overall**, as many of each size: {best.memory_mb} MB is the cheapest that holds them all, "
            f"${best.dollars_per_million:.2f}, the slowest in {best.ms} ms. The smallest that does is {smallest.memory_mb} MB, "
            f"${smallest.dollars_per_million:.2f} and {smallest.ms} ms: below one core, more memory makes the work quicker at the same "
            f"price; above {ONE_CORE_MB} MB it only costs more.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/lambda", description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path, help="files or folders near 100 KB, 500 KB, 1, 5, 10 MB; without any, photos are made")
    parser.add_argument("--rounds", type=int, default=7, help="the least of so many runs counts (default 7)")
    parser.add_argument("--build", action="store_true", help="build target/release/tintype first (BIN_UNDER_TEST names another)")
    parser.add_argument("--docs", action="store_true", help="put the tables into docs/performance.md as well")
    args = parser.parse_args()
    tintype, seed = all_tools(args.build)[:2]
    chosen = steps(files_of(args.photos))
    if not chosen:
        sys.exit("bench: none of the photos is near one of the seed's sizes, 100 KB to 10 MB")
    told = [photo_told(size, file, tintype, seed, args.rounds) for size, file in chosen.items()]
    OUT.mkdir(exist_ok=True)
    (OUT / "lambda.json").write_text(json.dumps(told, indent=1))
    (OUT / "lambda.md").write_text(text := text_of(told))
    published = {size: {mb: price(mb, ms) for mb, ms in by_memory.items()} for size, by_memory in SEED_MS.items()}
    plots.cost(told, published, OUT / "lambda.png")
    print(text)
    if args.docs:
        docs.fill("lambda", text, {"lambda.png": "Dollars for a million photos, by memory"})


if __name__ == "__main__":
    main()
