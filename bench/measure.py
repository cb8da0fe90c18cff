"""What one run of a program costs, and where it ran."""
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".peers" / "bench"
OUT = ROOT / "bench" / "out"

# One thread each, in the way each of them is told so.
ONE_THREAD = {"VIPS_CONCURRENCY": "1", "UV_THREADPOOL_SIZE": "1", "MAGICK_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "1",
              "OPENBLAS_NUM_THREADS": "1", "SHARP_FROM": str(PEERS / "node")}
# On a busy machine a large picture may take longer than Tintype grants it; here the cost is asked for, not the limit.
PATIENT = {"TINTYPE_LIMITS__DEADLINE": "10m"}


@dataclass(frozen=True)
class Cost:
    """CPU is user and system time together."""
    cpu_ms: float
    wall_ms: float
    peak_mib: float


class Failed(Exception):
    """A program ended with another status than 0. Says which, and what it wrote."""


def cores() -> list[int]:
    """Those this process may use; the last is the least troubled by interrupts, as a rule."""
    return sorted(os.sched_getaffinity(0))


def run(command: list, on: list[int] | None = None, cwd: Path | None = None) -> Cost:
    """Runs it to its end on the given cores (by default on one). Raises `Failed`."""
    reading, writing = os.pipe()
    env = {name: value for name, value in os.environ.items() if not name.startswith("TINTYPE_")} | ONE_THREAD | PATIENT
    chosen = ",".join(map(str, on or cores()[-1:]))
    done = subprocess.run([PEERS / "launch", str(writing), chosen, *map(str, command)], pass_fds=[writing], env=env, cwd=cwd,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    os.close(writing)
    with os.fdopen(reading) as report:
        line = report.read().split()
    if done.returncode != 0 or line[:1] != ["0"]:
        raise Failed(f"{' '.join(map(str, command))}: status {line[:1]}: {done.stdout.decode(errors='replace').strip()[-500:]}")
    _, cpu, wall, peak = map(int, line)
    return Cost(cpu / 1000, wall / 1000, peak / 1024)


def least(costs: list[Cost]) -> Cost:
    """The least of each figure: what disturbs a run only ever adds to it. Memory is not so: its most counts."""
    return Cost(min(c.cpu_ms for c in costs), min(c.wall_ms for c in costs), max(c.peak_mib for c in costs))
