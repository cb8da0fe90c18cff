"""At the end: was every promise kept? Each breach is a sentence; there must be none."""
import hashlib
import io
import json
import sqlite3
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import requests
from PIL import Image

from support.process import wait_for

from . import pictures
from .book import Book, Entry

ENDS = ("completed", "failed", "expired")


class Audit:
    def __init__(self, plan, book: Book, cluster, backend):
        self.plan, self.book, self.cluster, self.backend = plan, book, cluster, backend
        self.breaches: list[str] = []
        self.rows: dict[str, dict] = {}
        self.decoded: dict[str, tuple[int, int]] = {}  # sha256 -> size: equal bytes are decoded once
        self.objects: dict[str, int] = {}
        self.made: dict[str, dict[str, str]] = {}  # sha256 of an original -> what it comes to
        self.checked = 0
        self.last = "no answer"
        self.told = defaultdict(list)
        for received in backend.taken:
            self.told[received.path.rsplit("/", 1)[1]].append(received)

    def breach(self, what: str) -> None:
        self.breaches.append(what)

    def get(self, path: str) -> dict:
        answer = requests.get(self.cluster.apis[0] + path, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def pages(self, path: str, name: str) -> list[dict]:
        found, cursor = [], ""
        while cursor is not None:
            page = self.get(path + (f"&cursor={cursor}" if cursor else ""))
            found += page[name]
            cursor = page["cursor"]
        return found

    # --- first: nothing is under way any more ---

    def settled(self, within: float) -> None:
        def quiet():
            left = self.get("/readyz")
            under_way = {k: n for k, n in left["uploads"].items() if k not in ENDS and n}
            waiting = self.get("/v1/deliveries?status=pending&limit=1")["deliveries"]
            self.last = f"uploads {under_way}, jobs {left['jobs']}, a delivery: {waiting[:1]}"
            return not under_way and not left["jobs"] and not waiting
        try:
            wait_for("all settled", quiet, within, 0.5)
        except TimeoutError:
            self.breach(f"not settled within {within:g} s: {self.last}")

    # --- then: each upload ---

    def all(self) -> list[str]:
        self.rows = {row["id"]: row for row in self.pages("/v1/uploads?limit=100", "uploads")}
        self.objects = self.listed()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.upload, list(self.book.entries.values())))
        for strange in self.rows.keys() - self.book.entries.keys():
            # A creation whose answer was lost in a kill, asked for again without an Idempotency-Key.
            if self.rows[strange]["status"] != "expired":
                self.breach(f"{strange}: nobody's upload is {self.rows[strange]['status']}")
        self.no_orphan()
        for delivery in self.pages("/v1/deliveries?status=dead&limit=100", "deliveries"):
            self.breach(f"{delivery['upload_id']}: its callback was given up")
        return self.breaches

    def upload(self, entry: Entry) -> None:
        row = self.rows.get(entry.id)
        if entry.deleted:
            if row:
                self.breach(f"{entry.id}: deleted, and there as {row['status']}")
            return
        if row is None:
            return self.breach(f"{entry.id}: its row is gone; {entry}")
        status, codes = row["status"], pictures.codes(entry.file)
        if status == "expired":
            if entry.accepted:
                self.breach(f"{entry.id}: accepted, and expired")
        elif not entry.sent:
            self.breach(f"{entry.id}: never sent whole, and {status}")
        elif status == "completed":
            self.breach(f"{entry.id}: {entry.file} is broken, and completed") if codes else self.variants(entry, row)
        elif status == "failed":
            # A store that takes replays may have the first bytes no more when their turn comes.
            replaced = {"original_changed"} if entry.replays and self.plan.store != "embedded" else set()
            if row["error"]["code"] not in (codes or replaced):
                self.breach(f"{entry.id}: {entry.file} failed with {row['error']}")
        else:
            self.breach(f"{entry.id}: stays {status}; {entry}")
        if status in ("completed", "failed"):
            self.callbacks(entry, row)

    def variants(self, entry: Entry, row: dict) -> None:
        manifest = row["manifest"]
        if len(manifest["variants"]) != 8 or manifest["metadata"] != entry.metadata:
            self.breach(f"{entry.id}: its manifest is not whole: {manifest}")
        self.pinned(entry, manifest)
        for variant in manifest["variants"]:
            got = requests.get(variant["url"], timeout=30)
            digest = hashlib.sha256(got.content).hexdigest()
            if got.status_code != 200 or (len(got.content), digest) != (variant["bytes"], variant["sha256"]):
                self.breach(f"{entry.id}: {variant['name']} is not as its manifest says ({got.status_code}, {len(got.content)} bytes)")
            elif self.size(digest, got.content) != (variant["width"], variant["height"]):
                self.breach(f"{entry.id}: {variant['name']} is {self.size(digest, got.content)} pixels")
            self.checked += 1

    def pinned(self, entry: Entry, manifest: dict) -> None:
        """It is of bytes that were sent for it; and its variants are what these bytes always come to, not another's."""
        sha256 = manifest["original"]["sha256"]
        sent = [entry.file] + (entry.replays if self.plan.store != "embedded" else [])
        if sha256 not in {hashlib.sha256(pictures.files()[name]).hexdigest() for name in sent}:
            self.breach(f"{entry.id}: it is of other bytes than were sent first: {manifest['original']}")
        made = {variant["name"]: variant["sha256"] for variant in manifest["variants"]}
        if self.made.setdefault(sha256, made) != made:
            self.breach(f"{entry.id}: its variants have foreign hashes")

    def size(self, digest: str, data: bytes) -> tuple[int, int]:
        if digest not in self.decoded:
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                self.decoded[digest] = image.size
        return self.decoded[digest]

    def callbacks(self, entry: Entry, row: dict) -> None:
        told = self.told.get(entry.id, [])
        if not told:
            return self.breach(f"{entry.id}: {row['status']}, and never told")
        ids = {received.webhook_id for received in told}
        if len(ids) != 1:
            bodies = {json.dumps(received.body, sort_keys=True): received.webhook_id for received in told}
            self.breach(f"{entry.id}: one outcome told as {[received.webhook_id for received in told]}: {bodies}; {entry}")
        for received in told:
            try:
                received.verify_late()
            except AssertionError as error:
                self.breach(f"{entry.id}: its callback's signature: {error!r}")
        body = dict(told[-1].body)
        outcome = {name: body.pop(name, None) for name in ("id", "status", "processed_key")}
        if (outcome["id"], outcome["status"]) != (entry.id, row["status"]):
            self.breach(f"{entry.id}: told {outcome}, is {row['status']}")
        if row["status"] == "completed" and body != row["manifest"]:
            self.breach(f"{entry.id}: what was told is not its manifest")
        if row["status"] == "failed" and (body["error"] != row["error"] or body["metadata"] != entry.metadata):
            self.breach(f"{entry.id}: told {body}, is {row['error']}")

    # --- and: nothing else ---

    def listed(self) -> dict[str, int]:
        store, found = self.cluster.store, {}
        for page in store.s3.get_paginator("list_objects_v2").paginate(Bucket=store.bucket):
            found |= {each["Key"]: each["Size"] for each in page.get("Contents", [])}
        return found

    def no_orphan(self) -> None:
        keys = {entry.id: entry.key for entry in self.book.entries.values()}
        meant = {}
        for row in self.rows.values():
            if row["status"] in ("completed", "failed"):
                meant[keys.get(row["id"])] = row["id"]
            if row["status"] == "completed":
                variants = row["manifest"]["variants"]
                meant |= {variant["key"]: row["id"] for variant in variants}
                meant[next(v["key"] for v in variants if v["name"] == "original") + ".manifest.json"] = row["id"]
        for key in self.objects.keys() - meant.keys():
            owner = next((entry for entry in self.book.entries.values() if entry.id in key), None)
            self.breach(f"{key}: nobody's object; {owner}, {owner and self.rows.get(owner.id)}")
        for key in meant.keys() - self.objects.keys():
            self.breach(f"{key}: {meant[key]} lost it")

    def disk(self) -> list[str]:
        """Of the embedded store and of SQLite, once the server has ended: no left-over file, no damage."""
        data = self.cluster.nodes[0].home / "data"
        if self.plan.store == "embedded":
            files = [path for path in (data / "store/index").rglob("*") if path.is_file()]
            parts = [path for path in files if path.name.startswith("~")]
            named = {json.loads(path.read_text())["blob"] for path in files if path not in parts}
            blobs = {f"{path.parent.name}/{path.name}" for path in (data / "store/blobs").glob("*/*")}
            if parts or blobs != named:
                self.breach(f"the store's folder: {len(parts)} half records, {len(blobs - named)} blobs nobody names, {len(named - blobs)} missing")
        if self.plan.ledger == "sqlite":
            with sqlite3.connect(data / "tintype.db") as ledger:
                for check in ("integrity_check", "foreign_key_check"):
                    if (said := ledger.execute(f"PRAGMA {check}").fetchall()) not in ([("ok",)], []):
                        self.breach(f"{check}: {said}")
        return self.breaches
