"""What the clients know: each upload they were given, what they sent, and what they were answered."""
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Entry:
    id: str
    key: str
    file: str  # which of `pictures`
    metadata: dict
    sent: bool = False  # a whole form left the client at least once
    accepted_at: float | None = None  # the store answered 2xx
    delete_asked: bool = False
    deleted: bool = False  # the API said it is gone
    retries: int = 0  # calls of /retry that were answered 2xx
    replays: list[str] = field(default_factory=list)  # pictures that the store took under the same credential afterwards

    @property
    def accepted(self) -> bool:
        return self.accepted_at is not None


@dataclass
class Book:
    goal: int
    entries: dict[str, Entry] = field(default_factory=dict)
    accepted: int = 0
    attempts: int = 0  # forms begun
    replays: int = 0  # forms with other bytes under a credential that was used
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, entry: Entry) -> Entry:
        with self.lock:
            self.entries[entry.id] = entry
        return entry

    def attempt(self, entry: Entry, whole: bool = True) -> None:
        with self.lock:
            self.attempts += 1
            entry.sent |= whole

    def replayed(self) -> None:
        with self.lock:
            self.replays += 1

    def accept(self, entry: Entry) -> None:
        with self.lock:
            self.accepted += entry.accepted_at is None
            entry.accepted_at = entry.accepted_at or time.time()

    @property
    def full(self) -> bool:
        return self.accepted >= self.goal
