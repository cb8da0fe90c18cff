"""A hostile corpus through a real server: uploaded as clients do, each file followed to its end, and the whole held against
what was promised. `Run(server).feed(files)`, as often as you like, then `.check()` and `.figures()`."""
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

import requests

from hostile_corpus import File

from .process import REPO, wait_for
from .tintype import Server
from .upload import boto3_style

GRACE = 10  # seconds past the deadline: five that a renderer may take to notice, and the way there and back


@dataclass
class Ended:
    name: str
    status: str
    code: str | None
    seconds: float
    manifest: dict | None


def documented() -> set[str]:
    """The codes that docs/api.md names for an original that came to nothing."""
    section = (REPO / "docs/api.md").read_text().split("## Why an original came to nothing")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.M))


class Run:
    def __init__(self, server: Server, deadline: float):
        self.server, self.deadline = server, deadline
        self.ended: list[Ended] = []
        self.faults: list[str] = []
        self.pid, self.peak = server.daemon.pid, 0
        self.codes = documented()
        self.stopped = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self) -> None:
        while not self.stopped.wait(0.05):
            self.peak = max(self.peak, self.server.daemon.rss())

    # --- feeding ---

    def feed(self, files: Iterable[File], clients: int = 8) -> "Run":
        """So many at a time. With one client for each worker, how long a file takes is how long its job takes."""
        def safely(file: File) -> None:
            try:
                self._one(file)
            except Exception as error:
                self.faults.append(f"{file.name}: {error!r}")
        with ThreadPoolExecutor(clients) as pool:
            for _ in pool.map(safely, files):
                pass
        return self

    def _one(self, file: File) -> None:
        created = self.server.create(filename=file.name, content_type=file.content_type)
        answer = boto3_style(created["presign"], file.data, file.name, file.content_type)
        start = time.monotonic()
        if not file.data:
            assert (answer.status, answer.code) == (400, "EntityTooSmall"), answer
            return
        assert answer.status == 204, (answer.status, answer.text)
        upload = self.server.finish(created["id"], self.deadline + 2 * GRACE)
        code = (upload["error"] or {}).get("code")
        self.ended.append(Ended(file.name, upload["status"], code, time.monotonic() - start, upload["manifest"]))
        if upload["status"] not in ("completed", "failed") or (code is None) != (upload["status"] == "completed"):
            self.faults.append(f"{file.name}: {upload['status']}, {upload['error']}")
        if code not in file.codes:
            self.faults.append(f"{file.name}: {code or 'completed'}, not one of {file.codes}: {upload['error']}")
        if code is not None and code not in self.codes:
            self.faults.append(f"{file.name}: {code} is no documented code")
        self._check_objects(created["id"], upload["manifest"])

    def _check_objects(self, upload_id: str, manifest: dict | None) -> None:
        """All variants and the manifest, or nothing."""
        listed = self.server.at.s3.list_objects_v2(Bucket="tintype", Prefix=f"image/{upload_id}").get("Contents", [])
        keys = {entry["Key"]: entry["Size"] for entry in listed}
        wanted = {v["key"]: v["bytes"] for v in manifest["variants"]} if manifest else {}
        seals = {key for key in keys if key.endswith(".manifest.json")}
        if {k: keys[k] for k in keys.keys() - seals} != wanted or len(seals) != bool(manifest):
            self.faults.append(f"{upload_id}: in the store are {sorted(keys)}, promised were {sorted(wanted)}")

    # --- after all ---

    def check(self, bound: int) -> None:
        """`bound`: most bytes that server and children may have held."""
        self.stopped.set()
        self.watcher.join()
        log = (self.server.home / "tintype.log").read_text(errors="replace")
        slow = [e for e in self.ended if e.seconds > self.deadline + GRACE]
        self.faults += [f"{e.name}: {e.seconds:.1f} s, past {self.deadline} s" for e in slow]
        self.faults += [line for line in log.splitlines() if "panicked" in line or "crashed" in line or " ERROR " in line]
        if self.server.daemon.child.poll() is not None or self.server.daemon.pid != self.pid:
            self.faults.append(f"the server ended: {self.server.daemon.child.returncode}")
        if self.peak > bound:
            self.faults.append(f"peak RSS of {self.peak >> 20} MiB is past {bound >> 20} MiB")
        self._check_disk()
        assert not self.faults, "\n".join([f"{len(self.faults)} faults", *self.faults[:40]])

    def _check_disk(self) -> None:
        """No bytes that nobody names: every blob has its record."""
        data = self.server.home / "data" / "store"
        count = lambda folder: sum(1 for path in (data / folder).rglob("*") if path.is_file())
        try:
            wait_for("every blob named", lambda: count("blobs") == count("index"), 10)
        except TimeoutError:
            self.faults.append(f"{count('blobs')} blobs for {count('index')} records")

    def figures(self) -> str:
        by = Counter(e.code or "completed" for e in self.ended)
        slowest = max(self.ended, key=lambda e: e.seconds)
        return (f"{len(self.ended)} files: " + ", ".join(f"{n} {code}" for code, n in by.most_common())
                + f"; slowest {slowest.name}, {slowest.seconds:.1f} s; peak RSS {self.peak >> 20} MiB")

    def completed(self, part: str = "") -> list[Ended]:
        return [e for e in self.ended if e.manifest and part in e.name]


def served_as(ended: Ended) -> list[str]:
    """What is wrong with how the variants of one are served to anyone."""
    wrong = []
    for variant in ended.manifest["variants"]:
        got = requests.get(variant["url"], timeout=30)
        said = (got.status_code, got.headers.get("Content-Type"), got.headers.get("X-Content-Type-Options"))
        if said != (200, variant["content_type"], "nosniff") or not variant["content_type"].startswith("image/"):
            wrong.append(f"{ended.name}, {variant['name']}: {said}")
    return wrong
