"""What the decoders' box costs: `tintype process` with it and without, in turns, on copies of one photo.

Starting decoders is done once and not for each photo, so it is told apart: a photo costs what many cost more than one.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import docs
from .measure import OUT, PATIENT, Cost, cores, least, run
from .photos import ladder
from .report import markdown
from .tools import tintype_binary

COPIES = 40
# the most that the box may add to a photo's CPU
ALLOWED = 1.05
# by where the pixels are made; one worker each, so that both make one photo after the other
MODES = {"in this process": [], "boxed": ["--sandbox"]}


def folder_of(photo: Path, count: int, work: Path) -> Path:
    folder = work / str(count)
    folder.mkdir()
    for i in range(count):
        shutil.copy(photo, folder / f"{i:03}{photo.suffix}")
    return folder


def command(binary: Path, flags: list[str], folder: Path, out: Path) -> list:
    return ["env", "TINTYPE_SERVER__WORKERS=1", binary, "process", *flags, "--json", "--out", out, folder]


def once(binary: Path, flags: list[str], folder: Path, work: Path, on: list[int]) -> Cost:
    with tempfile.TemporaryDirectory(dir=work) as out:
        return run(command(binary, flags, folder, Path(out)), on=on, cwd=Path(out))


def resident(pid: int) -> int:
    """Bytes in memory, each shared page counted once among those who share it (PSS)."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)


def family(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [pid, *(int(child) for task in tasks for child in (task / "children").read_text().split())]
    except OSError:
        return [pid]


def peak_mib(binary: Path, flags: list[str], folder: Path, work: Path) -> float:
    """Most memory of the process and its decoder together, looked at again and again."""
    with tempfile.TemporaryDirectory(dir=work) as out:
        env = {**os.environ, **PATIENT}
        # `env` becomes the program it runs: the process id stays.
        child = subprocess.Popen(list(map(str, command(binary, flags, folder, Path(out)))), env=env, cwd=out, stdout=subprocess.DEVNULL)
        done, most = threading.Event(), 0
        threading.Thread(target=lambda: (child.wait(), done.set())).start()
        while not done.is_set():
            most = max(most, sum(map(resident, family(child.pid))))
            time.sleep(0.002)
    return most / 2**20


def measured(binary: Path, photo: Path, rounds: int, work: Path) -> dict[str, dict]:
    one, many = folder_of(photo, 1, work), folder_of(photo, 1 + COPIES, work)
    costs = {mode: {"one": [], "many": []} for mode in MODES}
    on = cores()
    for i in range(rounds):
        for mode in list(MODES)[::1 if i % 2 else -1]:
            costs[mode]["one"].append(once(binary, MODES[mode], one, work, on))
            costs[mode]["many"].append(once(binary, MODES[mode], many, work, on))
            print(f"bench: {photo.name}, {mode}: {costs[mode]['many'][-1].cpu_ms / (1 + COPIES):.2f} ms", file=sys.stderr)
    told = {}
    for mode, runs in costs.items():
        alone, all_ = least(runs["one"]), least(runs["many"])
        told[mode] = {"cpu_ms": (all_.cpu_ms - alone.cpu_ms) / COPIES, "wall_ms": (all_.wall_ms - alone.wall_ms) / COPIES,
                      "alone_cpu_ms": alone.cpu_ms, "peak_mib": max(peak_mib(binary, MODES[mode], many, work) for _ in range(3))}
    return told


def table(rows: dict[str, dict[str, dict]]) -> str:
    lines = []
    for name, row in rows.items():
        own, boxed = row["in this process"], row["boxed"]
        ratio = lambda figure: f"{boxed[figure] / own[figure]:.3f}"
        lines.append([name, f"{own['cpu_ms']:.2f} → {boxed['cpu_ms']:.2f}", ratio("cpu_ms"),
                      f"{own['wall_ms']:.2f} → {boxed['wall_ms']:.2f}", ratio("wall_ms"),
                      f"{boxed['alone_cpu_ms'] - boxed['cpu_ms'] - own['alone_cpu_ms'] + own['cpu_ms']:.1f}",
                      f"{own['peak_mib']:.1f} → {boxed['peak_mib']:.1f}"])
    head = ["photo", "CPU ms a photo", "ratio", "wall ms a photo", "ratio", "CPU ms to start a decoder", "peak MiB, both together"]
    return markdown(head, lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/sandbox", description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path, help="without any, photos of 100 KB to 10 MB are made")
    parser.add_argument("--rounds", type=int, default=7, help="the least of so many counts (default 7)")
    parser.add_argument("--build", action="store_true", help="build target/release/tintype first (BIN_UNDER_TEST names another)")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/sandbox.md as well")
    args = parser.parse_args()
    binary = tintype_binary(args.build)
    rows = {}
    for photo in args.photos or ladder():
        with tempfile.TemporaryDirectory(prefix="tintype-bench-") as work:
            rows[photo.name] = measured(binary, photo.resolve(), args.rounds, Path(work))
    OUT.mkdir(exist_ok=True)
    (OUT / "sandbox.json").write_text(json.dumps(rows, indent=1))
    (OUT / "sandbox.md").write_text(text := table(rows))
    print(text)
    if args.docs:
        docs.fill("sandbox", text, page=docs.PAGE.parent / "sandbox.md")
    over = [name for name, row in rows.items() if row["boxed"]["cpu_ms"] > ALLOWED * row["in this process"]["cpu_ms"]]
    if over:
        sys.exit(f"bench: the box adds more than 5% to the CPU of {', '.join(over)}")


if __name__ == "__main__":
    main()
