"""Clients that upload, one after another each, to one server with the embedded store; clients, server and backend share
this machine. `bench/load --help` tells the rest."""
import argparse
import http.client
import os
import re
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import corpus
from support.receiver import Receiver
from support.tintype import Server

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
PATIENCE = 120  # seconds a client waits for the callback of one upload


@dataclass
class Tally:
    sent: dict[str, tuple[float, int]] = field(default_factory=dict)  # upload -> when its last byte left, bytes
    created: list[float] = field(default_factory=list)
    told: dict[str, float] = field(default_factory=dict)
    statuses: Counter = field(default_factory=Counter)
    errors: Counter = field(default_factory=Counter)
    lock: threading.Condition = field(default_factory=threading.Condition)


class Backend(Receiver):
    """Wakes the client whose upload it is."""

    def __init__(self, tally: Tally):
        super().__init__()
        self.received = Wakes(tally)


class Wakes(list):
    def __init__(self, tally: Tally):
        super().__init__()
        self.tally = tally

    def append(self, received) -> None:
        upload = received.path.rsplit("/", 1)[1]
        with self.tally.lock:
            self.tally.told.setdefault(upload, received.at)
            self.tally.statuses[received.body["status"]] += 1
            self.tally.lock.notify_all()


def post(presign: dict, data: bytes) -> tuple[int, float]:
    """The store's answer, and when the last byte had left."""
    boundary, url = uuid.uuid4().hex, urlsplit(presign["url"])
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in presign["fields"].items()]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = b"".join([*parts, head.encode(), data, f"\r\n--{boundary}--\r\n".encode()])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    try:
        connection.request("POST", url.path, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        left = time.time()
        return connection.getresponse().status, left
    finally:
        connection.close()


def client(server: Server, photos: list[bytes], tally: Tally, until: float, number: int) -> None:
    turn = number
    while time.time() < until:
        data, turn = photos[turn % len(photos)], turn + 1
        try:
            began = time.time()
            created = server.create(filename="a.jpg")
            tally.created.append(time.time() - began)
            status, left = post(created["presign"], data)
        except Exception as error:
            tally.errors[type(error).__name__] += 1
            continue
        if status != 204:
            tally.errors[status] += 1
            continue
        with tally.lock:
            tally.sent[created["id"]] = (left, len(data))
            tally.lock.wait_for(lambda: created["id"] in tally.told, PATIENCE)


def tree(root: int) -> list[int]:
    """A process and all below it."""
    found, todo = [], [root]
    while todo:
        found.append(pid := todo.pop())
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                todo += map(int, task.read_text().split())
            except OSError:
                pass
    return found


def resident(pid: int) -> int:
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    except OSError:
        return 0


def cpu(pid: int) -> float:
    """Seconds of CPU, of those it has waited for too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


class Memory(threading.Thread):
    """What server and children hold together, twice a second."""

    def __init__(self, root: int):
        super().__init__(daemon=True)
        self.root, self.server, self.decoders, self.ended = root, [], [], threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.5):
            self.server.append(resident(self.root))
            self.decoders.append(sum(map(resident, tree(self.root)[1:])))


def course(seen: list[int]) -> str:
    """Where it began, the most, and where it ended."""
    fifth = max(len(seen) // 5, 1)
    return f"{max(seen) / 2**20:.0f} MiB at most; median of each fifth " + ", ".join(
        f"{statistics.median(seen[at:at + fifth]) / 2**20:.0f}" for at in range(0, fifth * 5, fifth) if seen[at:at + fifth])


def share(values: list[float], part: float) -> float:
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def table(args, photos: list[bytes], tally: Tally, memory: Memory, seconds: float, used: float) -> str:
    waits = [tally.told[i] - left for i, (left, _) in tally.sent.items() if i in tally.told]
    size = sum(size for _, size in tally.sent.values())
    lost = len(tally.sent.keys() - tally.told.keys())
    rows = {
        "photos": f"{len(photos)}, {min(map(len, photos)) / 1e6:.1f} to {max(map(len, photos)) / 1e6:.1f} MB, in turn",
        "uploads in": f"{len(tally.sent)} by {args.clients} clients in {seconds / 60:.1f} min",
        "throughput": f"{len(tally.sent) / seconds:.1f} uploads/s, {size / seconds / 1e6:.1f} MB/s",
        "last byte to callback": f"p50 {share(waits, .5):.2f} s, p99 {share(waits, .99):.2f} s, longest {max(waits):.2f} s",
        "`POST /v1/uploads`": f"p50 {share(tally.created, .5) * 1e3:.0f} ms, p99 {share(tally.created, .99) * 1e3:.0f} ms",
        "outcomes": ", ".join(f"{n} {status}" for status, n in tally.statuses.items()),
        "memory, all": course([*map(sum, zip(memory.server, memory.decoders))]),
        "memory, the server": course(memory.server),
        "memory, its decoders": course(memory.decoders),
        "CPU": f"{used / seconds:.2f} of {len(os.sched_getaffinity(0))} cores, which clients and backend share",
        "errors": ", ".join(f"{n} {error}" for error, n in tally.errors.items()) or "none",
        "lost": str(lost),
    }
    return "\n".join(["| what | figure |", "| --- | --- |", *(f"| {name} | {figure} |" for name, figure in rows.items())])


def made() -> list[bytes]:
    return [corpus.save(corpus.photo(width, width * 3 // 4, 60 + n), "JPEG", quality=90) for n, width in enumerate((800, 1600, 2400, 4000))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/load", description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path, help="files or folders; without any, photos are made")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--docs", action="store_true", help="put the table into docs/reliability.md as well")
    args = parser.parse_args()
    files = [file for path in args.photos for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    photos = [file.read_bytes() for file in files] or made()
    with tempfile.TemporaryDirectory(prefix="tintype-load-") as home:
        tally = Tally()
        backend = Backend(tally)
        server = Server(Path(home), backend)
        memory = Memory(server.daemon.pid)
        try:
            memory.start()
            began, used = time.time(), cpu(server.daemon.pid)
            clients = [threading.Thread(target=client, args=(server, photos, tally, began + args.minutes * 60, n)) for n in range(args.clients)]
            for each in clients:
                each.start()
            for each in clients:
                each.join()
            seconds, used = time.time() - began, cpu(server.daemon.pid) - used
            memory.ended.set()
        finally:
            server.stop()
            backend.stop()
    text = table(args, photos, tally, memory, seconds, used)
    print(text)
    if args.docs:
        filled, places = re.subn(r"(<!-- load -->\n).*?(<!-- /load -->)", lambda m: f"{m[1]}\n{text}\n\n{m[2]}", PAGE.read_text(), flags=re.S)
        if places != 1:
            sys.exit(f"bench: {PAGE.name} has no single place for the table")
        PAGE.write_text(filled)
    return int("lost | 0" not in text)


if __name__ == "__main__":
    sys.exit(main())
