"""Tintype beside its peers: the same photos, the same eight outputs, in turns. `compare --help` tells the rest."""
import argparse
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from . import docs, photos, pictures, report
from .measure import OUT, Cost, Failed, cores, least, run
from .tools import VARIANTS, Tool, all_tools, files_made

# What takes this long varies little between runs: it is run twice only.
SLOW_MS = 4000
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif")
FORMATS = ("progressive", "png", "webp", "gif")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/compare", description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path, help="files or folders; without any, photos are made, 100 KB to 10 MB")
    parser.add_argument("--rounds", type=int, default=7, help="how often each tool runs on each file (default 7)")
    parser.add_argument("--formats", help=f"also turn one photo into these, and compare on them: {','.join(FORMATS)}, or all")
    parser.add_argument("--only", help="tools to run, by the start of their names: tintype,seed,jpegtran")
    parser.add_argument("--build", action="store_true", help="build target/release/tintype first (BIN_UNDER_TEST names another)")
    parser.add_argument("--no-fidelity", action="store_true", help="time and memory alone, which is much quicker")
    parser.add_argument("--docs", action="store_true", help="put the tables into docs/performance.md as well")
    args = parser.parse_args()
    args.formats = list(FORMATS) if args.formats == "all" else [kind for kind in (args.formats or "").split(",") if kind]
    if unknown := set(args.formats) - set(FORMATS):
        parser.error(f"--formats knows nothing of {', '.join(sorted(unknown))}")
    if args.rounds < 1:
        parser.error("--rounds: one at least")
    return args


def files_of(paths: list[Path]) -> list[Path]:
    """By their size: the ladder reads upwards."""
    found = [f for p in paths for f in (sorted(p.iterdir()) if p.is_dir() else [p]) if f.suffix.lower() in ENDINGS]
    readable = [f.resolve() for f in found if pictures.kind(f)]
    if len(readable) < len(found):
        print(f"bench: {len(found) - len(readable)} files are left out, since Pillow cannot read them", file=sys.stderr)
    if paths and not readable:
        sys.exit("bench: no photos there")
    return sorted(readable, key=lambda f: f.stat().st_size) or photos.ladder()


def with_formats(files: list[Path], kinds: list[str]) -> list[Path]:
    """Made of a photo of middling size, which the ladder's 1 MB is."""
    if not kinds:
        return files
    source = min((f for f in files if f.suffix.lower() in (".jpg", ".jpeg")), key=lambda f: abs(f.stat().st_size - 1_000_000),
                 default=None) or photos.ladder()[2]
    return files + [photos.converted(source, kind) for kind in kinds]


class Bench:
    """One file, all tools."""

    def __init__(self, file: Path, tools: list[Tool], rounds: int, work: Path):
        self.rounds, self.work = rounds, work
        # a copy, since libvips and sharp tell a format to write by an ending in small letters
        self.file = work / (file.stem + file.suffix.lower())
        shutil.copyfile(file, self.file)
        self.tools = [tool for tool in tools if file.suffix.lower() in tool.endings]
        self.costs: dict[str, list[Cost]] = {tool.name: [] for tool in self.tools}
        self.startups: dict[str, list[Cost]] = {tool.name: [] for tool in self.tools}
        self.failures: dict[str, str] = {}

    def play(self) -> None:
        """In turns, the order turned by one each round, so that no tool always follows the same other."""
        for round_ in range(self.rounds):
            turn = round_ % len(self.tools)
            for tool in self.tools[turn:] + self.tools[:turn]:
                if not self.done(tool):
                    self.once(tool)

    def done(self, tool: Tool) -> bool:
        costs = self.costs[tool.name]
        return tool.name in self.failures or (len(costs) >= 2 and costs[0].cpu_ms > SLOW_MS)

    def once(self, tool: Tool) -> None:
        try:
            self.costs[tool.name].append(run(tool.command(self.file, self.empty(tool), False), cwd=self.work))
            if tool.startup:
                self.startups[tool.name].append(run(tool.startup, cwd=self.work))
        except Failed as failed:
            print(f"bench: {failed}", file=sys.stderr)
            self.failures[tool.name] = str(failed)

    def empty(self, tool: Tool, kind: str = "made") -> Path:
        """A folder of its own, as if it were the first to write."""
        out = self.work / kind / tool.name.split()[0]
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        return out

    def result(self, fidelity: bool) -> dict:
        reference = pictures.Reference(self.file) if fidelity else None
        frames = pictures.load(self.file)
        kind = pictures.kind(self.file)
        # what PNG would show is what a PNG shows; and it has no animation that all of them write
        as_png = kind != "png" and len(frames) == 1
        told = {tool.name: self.tool_result(tool, reference, as_png) for tool in self.tools if tool.name not in self.failures}
        return {"file": self.file.name, "kind": kind, "bytes": self.file.stat().st_size,
                "frames": len(frames), "width": frames[0].shape[1], "height": frames[0].shape[0], "tools": told, "failures": self.failures}

    def tool_result(self, tool: Tool, reference: pictures.Reference | None, as_png: bool) -> dict:
        cost = least(self.costs[tool.name])
        startup = least(self.startups[tool.name]).cpu_ms if tool.startup else 0.0
        told = {"cpu_ms": cost.cpu_ms, "startup_ms": startup, "wall_ms": cost.wall_ms, "peak_mib": cost.peak_mib,
                "rounds": len(self.costs[tool.name])}
        if tool.yardstick:
            return told
        made = files_made(self.work / "made" / tool.name.split()[0])
        told["variant_bytes"] = {name: made[name].stat().st_size for name in VARIANTS}
        if reference:
            told["psnr"] = fidelity_of(made, reference)
            if tool.can_write_png and as_png:
                out = self.empty(tool, "png")
                try:
                    run(tool.command(self.file, out, True), cwd=self.work)
                    told["psnr_before_encoding"] = fidelity_of(files_made(out), reference)
                except Failed as failed:
                    print(f"bench: before encoding: {failed}", file=sys.stderr)
        return told


def fidelity_of(made: dict[str, Path], reference: pictures.Reference) -> dict:
    """Variant -> {rgb, luma} in dB, against the exact variant of the size that was made."""
    def one(name: str) -> dict | None:
        frames = pictures.load(made[name])
        return pictures.psnr(frames, reference.variant(name, (frames[0].shape[1], frames[0].shape[0])))
    return {name: one(name) for name in VARIANTS}


def machine(tools: list[Tool]) -> dict:
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
               platform.machine())
    return {"cpu": cpu, "cores": len(cores()), "system": f"{platform.system()} {platform.release()}",
            "load": round(os.getloadavg()[0], 1), "tools": {tool.name: tool.version for tool in tools}}


def main() -> None:
    args = arguments()
    tools = all_tools(args.build)
    if args.only:
        wanted = tuple(args.only.lower().split(","))
        tools = [tool for tool in tools if tool.name.lower().startswith(wanted)]
    about = machine(tools)
    files = with_formats(files_of(args.photos), args.formats)
    results = []
    with tempfile.TemporaryDirectory(prefix="tintype-bench-") as work:
        for file in files:
            print(f"bench: {file.name}", file=sys.stderr)
            bench = Bench(file, tools, args.rounds, Path(work))
            bench.play()
            results.append(bench.result(not args.no_fidelity))
            # after each file, so that a run cut short still tells of those before
            text = report.write({"machine": about, "rounds": args.rounds, "files": results}, OUT)
    print(text)
    if args.docs:
        docs.fill("compare", text, {"cpu.png": "CPU of each tool, by file", "fidelity.png": "PSNR of the encoded files",
                                     "fidelity-before-encoding.png": "PSNR before encoding"})


if __name__ == "__main__":
    main()
