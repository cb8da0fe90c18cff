"""Ends processes with SIGKILL: while they work, as they start, as they drain. Each is started again. Of several, some are
stopped for a while (SIGSTOP) and go on (SIGCONT) when others have long taken their work."""
import os
import signal
import threading
import time
from pathlib import Path

from support.process import wait_for

from .plan import Plan


class Killer(threading.Thread):
    def __init__(self, plan: Plan, cluster, enough):
        super().__init__(name="killer", daemon=True)
        self.plan, self.cluster, self.enough, self.dice = plan, cluster, enough, plan.dice("killer")
        self.kills = {"at work": 0, "starting": 0, "draining": 0}
        self.recoveries: list[float] = []
        self.orphans = self.stops = 0
        self.stopped: dict[int, threading.Timer] = {}  # by pid
        self.lock = threading.Lock()
        self.done, self.released = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    @property
    def count(self) -> int:
        return sum(self.kills.values())

    def run(self) -> None:
        try:
            while not (self.count >= self.plan.kills and self.enough()):
                time.sleep(min(self.dice.expovariate(1 / self.plan.pace), 5 * self.plan.pace))
                node = self.dice.choice(self.cluster.nodes)
                # One at least goes on, so that there is somebody to take over.
                may_stop = self.plan.stops and len(self.stopped) < len(self.cluster.nodes) - 1 and node.daemon.pid not in self.stopped
                if may_stop and self.dice.random() < 0.35:
                    self.stop(node.daemon.pid)
                else:
                    self.strike(node)
        except BaseException as error:
            self.error = error
        for pid in list(self.stopped):
            self.go_on(pid)
        self.done.set()
        self.released.wait()  # a child dies with the thread that started it

    def stop(self, pid: int) -> None:
        """For a second, or many: shorter than a lease, or longer."""
        seconds = min(self.dice.expovariate(4 / self.plan.stop_max) + 1, self.plan.stop_max)
        timer = threading.Timer(seconds, self.go_on, [pid])
        timer.daemon = True
        with self.lock:
            os.kill(pid, signal.SIGSTOP)
            self.stopped[pid] = timer
            self.stops += 1
        timer.start()

    def go_on(self, pid: int) -> None:
        with self.lock:
            timer = self.stopped.pop(pid, None)
            if timer:
                timer.cancel()
                os.kill(pid, signal.SIGCONT)

    def strike(self, node) -> None:
        began, fate = time.monotonic(), self.dice.random()
        if fate < 0.15:
            os.kill(node.daemon.pid, signal.SIGTERM)
            time.sleep(self.dice.uniform(0, 0.3))
        self.kill(node, "draining" if fate < 0.15 else "at work")
        if self.dice.random() < 0.1:
            time.sleep(self.dice.uniform(0.5, 2))  # an operator who takes a while
        node.spawn()
        while self.dice.random() < 0.15:
            time.sleep(self.dice.uniform(0, 0.4))
            self.kill(node, "starting")
            node.spawn()
        node.daemon.wait_ready(node.is_ready, 60)
        self.recoveries.append(time.monotonic() - began)

    def kill(self, node, when: str) -> None:
        """The one process: what it started must see to it that it ends too."""
        daemon = node.daemon
        with self.lock:
            timer = self.stopped.pop(daemon.pid, None)  # it dies as it is
            if timer:
                timer.cancel()
        if daemon.child.poll() is None:
            os.kill(daemon.pid, signal.SIGKILL)
            self.kills[when] += 1
        daemon.child.wait()
        try:
            wait_for("its children end", lambda: not members(daemon.pid), 5)
        except TimeoutError:
            self.orphans += 1
            daemon.kill()


def members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
