"""Servers as child processes: free ports, a log file each, and stopped for certain."""
import atexit
import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
# Several processes of pytest share this machine: each has ports of its own, by pairs, since Linux gives odd ones alone.
WORKER, WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_handed_out: set[int] = set()
_running: list["Daemon"] = []


def free_port(span: int = 1, offset: int = 0) -> int:
    """A loopback port nobody listens on. With `offset`, `port + offset` is free too."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port in _handed_out or port // 2 % WORKERS != WORKER or port + offset > 65535:
            continue
        if offset:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port + offset)) == 0:
                    continue
        _handed_out.update({port, port + offset})
        return port


def wait_for(what: str, probe, timeout: float = 30, every: float = 0.05):
    """Polls `probe` until it returns something true, and returns that."""
    deadline, last = time.monotonic() + timeout, None
    while time.monotonic() < deadline:
        try:
            if got := probe():
                return got
        except Exception as error:  # a server that is not up yet answers with all sorts
            last = error
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {timeout:g} s" + (f" (last: {last!r})" if last else ""))


def listening(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Daemon:
    """A child in its own process group. Its output goes to `log`."""

    def __init__(self, argv: list, log: Path, env: dict | None = None, cwd: Path | None = None):
        self.argv, self.log = [str(a) for a in argv], Path(log)
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                env={**os.environ, **(env or {})}, start_new_session=True, preexec_fn=_die_with_parent)
        _running.append(self)

    @property
    def pid(self) -> int:
        return self.child.pid

    def wait_ready(self, probe, timeout: float = 30) -> "Daemon":
        def alive_and_ready():
            if self.child.poll() is not None:
                return "dead"
            return probe()
        try:
            state = wait_for(f"{self.argv[0]} ready", alive_and_ready, timeout)
        except TimeoutError as error:
            self.stop()
            raise TimeoutError(f"{error}\n{self.tail()}") from None
        if state == "dead":
            raise RuntimeError(f"{self.argv} ended with {self.child.returncode}\n{self.tail()}")
        return self

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def peak_rss(self) -> int:
        """The most memory the process held so far, in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0

    def tree(self) -> list[int]:
        """The process and its children, theirs too."""
        found, look = [], [self.pid]
        while look:
            pid = look.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    look += map(int, task.read_text().split())
                except OSError:  # it ended meanwhile
                    pass
        return found

    def rss(self) -> int:
        """What the process and its children hold now, in bytes; what they share counts for each."""
        total = 0
        for pid in self.tree():
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except (OSError, IndexError):
                pass
        return total

    def kill(self) -> None:
        """kill -9, the whole group."""
        self._signal(signal.SIGKILL)
        self.child.wait()

    def stop(self, grace: float = 15) -> int:
        """SIGTERM and, should that not do, SIGKILL. The exit status."""
        if self.child.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self.child.wait(grace)
            except subprocess.TimeoutExpired:
                pass
        self._signal(signal.SIGKILL)  # children it left behind
        self.child.wait()
        if self in _running:
            _running.remove(self)
        return self.child.returncode

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass


@atexit.register
def _stop_all() -> None:
    for daemon in list(_running):
        daemon.stop(grace=2)
