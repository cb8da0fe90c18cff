"""One run from start to figures."""
import itertools
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from support.postgres import Postgres
from support.receiver import SECRET
from support.seaweed import SeaweedFS

from . import pictures
from .audit import Audit
from .backend import Backend
from .book import Book
from .clients import Client
from .cluster import Cluster
from .forwarder import Forwarder
from .killer import Killer
from .plan import Plan

SETTLE = 180  # seconds all that is under way may take once the kills have ended
_names = itertools.count()


@dataclass
class Report:
    plan: Plan
    figures: dict
    breaches: list[str]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in {"seed": self.plan.seed, **self.figures}.items())


class Servers:
    """The real store and ledger beside Tintype, as the plan names them; started on first use, shared by runs."""

    def __init__(self, home: Path):
        self.home = home
        self.seaweed: SeaweedFS | None = None
        self.postgres: Postgres | None = None

    def store(self, plan: Plan):
        if plan.store == "embedded":
            return None
        self.seaweed = self.seaweed or SeaweedFS(self.home / "seaweedfs")
        return self.seaweed.bucket(f"torture{next(_names)}")

    def ledger(self, plan: Plan) -> dict:
        if plan.ledger == "sqlite":
            return {}
        self.postgres = self.postgres or Postgres(durable=True)
        return {"TINTYPE_LEDGER__URL": self.postgres.database()}

    def stop(self) -> None:
        for server in (self.seaweed, self.postgres):
            if server:
                server.stop()


def run(plan: Plan, servers: Servers, home: Path, tell=lambda line: None) -> Report:
    pictures.files()  # made before the first kill
    began, backend, book = time.monotonic(), Backend(plan), Book(plan.uploads)
    store = servers.store(plan)
    env = {**plan.settings(), **servers.ledger(plan), **(store.env if store else {}),
           "TINTYPE_CALLBACK__URL": backend.url, "TINTYPE_CALLBACK__SECRET": SECRET}
    cluster = Cluster(plan, home / plan.name, env, store)
    try:
        forwarder = Forwarder(plan, cluster.store.bucket, cluster)
        killer = Killer(plan, cluster, lambda: book.full)
        announce = (lambda key: None) if cluster.store.notifies else forwarder.announce

        def may_begin() -> bool:
            """As far as the kills have come: they are spread over all uploads."""
            while not killer.done.is_set() and book.accepted * plan.kills >= plan.uploads * (killer.count + 2):
                time.sleep(0.05)
            return not killer.error and (not book.full or killer.count < plan.kills)

        clients = [Client(number, plan, book, cluster, announce, may_begin) for number in range(plan.clients)]
        parts = [forwarder, killer, *clients]
        for part in parts:
            part.start()
        while not killer.done.is_set() or any(client.is_alive() for client in clients):
            time.sleep(1)
            tell(f"{plan.name}: {book.accepted} accepted, {killer.count} kills, {len(backend.taken)} callbacks")
            if errors := [part.error for part in parts if part.error]:
                raise errors[0]
        kills_ended = time.monotonic()
        backend.heal()
        forwarder.finish()
        if forwarder.error:
            raise forwarder.error
        audit = Audit(plan, book, cluster, backend)
        audit.settled(SETTLE)
        settled = time.monotonic()
        audit = Audit(plan, book, cluster, backend) if not audit.breaches else audit
        audit.all()
        cluster.stop()
        killer.released.set()
        audit.disk()
        if killer.orphans:
            audit.breach(f"{killer.orphans} times a killed server left children behind")
        return Report(plan, figures(book, killer, forwarder, backend, audit, cluster)
                      | {"settled in": f"{settled - kills_ended:.0f} s", "in all": f"{time.monotonic() - began:.0f} s"}, audit.breaches)
    finally:
        cluster.stop()
        backend.stop()


def figures(book: Book, killer: Killer, forwarder: Forwarder, backend: Backend, audit: Audit, cluster: Cluster) -> dict:
    entries = list(book.entries.values())
    told = {entry.id: audit.told.get(entry.id, []) for entry in entries}
    waits = [min(r.at for r in told[e.id]) - e.accepted_at for e in entries if e.accepted and told[e.id] and not e.deleted]
    states = {state: sum(row["status"] == state for row in audit.rows.values()) for state in ("completed", "failed", "expired")}
    return {
        "uploads": f"{book.accepted} accepted of {len(entries)} begun", "forms": book.attempts,
        "ended": ", ".join(f"{count} {state}" for state, count in states.items()),
        "replays": book.replays,
        "deleted": sum(entry.deleted for entry in entries),
        "kills": f"{killer.count} ({', '.join(f'{n} {when}' for when, n in killer.kills.items())})",
        "stops": killer.stops,
        "callbacks": f"{len(backend.taken)} taken, {backend.refused} refused, {len(backend.taken) - sum(map(bool, told.values()))} doubled",
        "events": f"{forwarder.pushed} pushed, {forwarder.lost} lost",
        "variants compared": audit.checked,
        "recovery": f"median {statistics.median(killer.recoveries):.2f} s, longest {max(killer.recoveries):.2f} s",
        "last byte to callback": f"median {statistics.median(waits):.2f} s, longest {max(waits):.1f} s",
        "lost": len(audit.breaches),
    }
