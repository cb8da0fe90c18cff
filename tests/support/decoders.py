"""The decoders of a running service, as the kernel shows them."""
import os
import signal
import time
from pathlib import Path

from .process import wait_for


def of(pid: int) -> set[int]:
    """Process ids of the children of a process that are alive."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return {child for child in found if state(child) not in "ZX"}


def state(pid: int) -> str:
    """R, S, D, T (stopped), Z (ended), X (gone)."""
    return _stat(pid)[0] if Path(f"/proc/{pid}/stat").exists() else "X"


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ["X"] + ["0"] * 20


def busy(pid: int) -> int:
    """The decoder that is at work: the one whose clock runs."""
    def found():
        before = {child: int(_stat(child)[11]) for child in of(pid)}
        time.sleep(0.1)
        worked = [child for child, ticks in before.items() if int(_stat(child)[11]) > ticks + 4]
        return worked[0] if len(worked) == 1 else None
    return wait_for("a decoder at work", found)


def gone(*pids: int, within: float = 5) -> None:
    """Waits until none of them is left."""
    wait_for(f"end of {pids}", lambda: all(state(pid) in "ZX" for pid in pids), within)


def strike(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
    if number == signal.SIGSEGV:
        # Rust's handler looks whether the stack ran over and goes back to where the fault was; here there was none.
        time.sleep(0.05)
        os.kill(pid, number)
