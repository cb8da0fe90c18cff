"""How hard: the numbers of one run. Everything random comes of `seed`; what the threads make of it, of the machine."""
import random
from dataclasses import dataclass

# Little time for all that waits, so that whatever a kill left behind is taken up while the run lasts.
SETTINGS = {
    "TINTYPE_CALLBACK__TIMEOUT": "1s", "TINTYPE_CALLBACK__SCHEDULE": ",".join(["200ms", "500ms", "1s"] + ["2s"] * 200),
    "TINTYPE_QUEUE__LEASE": "2s", "TINTYPE_QUEUE__CRASHES": "1000",  # a kill is no fault of the job's
    "TINTYPE_QUEUE__EVENT_TIME": "2s", "TINTYPE_QUEUE__RECONCILE": "2s",
    "TINTYPE_SERVER__DRAIN": "5s", "TINTYPE_LIMITS__DEADLINE": "10s",
}


@dataclass(frozen=True)
class Plan:
    store: str  # embedded, seaweedfs
    ledger: str  # sqlite, postgres
    uploads: int  # accepted ones, at least
    kills: int  # at least
    seed: int
    clients: int = 16
    pace: float = 1.0  # mean seconds of quiet between two kills
    expires: int = 30  # seconds a credential is good for
    stop_max: float = 0.0  # seconds that a process is stopped (SIGSTOP) at most; 0: none is. Of several processes only

    @property
    def name(self) -> str:
        return f"{self.store}+{self.ledger}"

    @property
    def shared(self) -> bool:
        """Several processes, one store, one ledger: the embedded store and a file belong to one process."""
        return self.store != "embedded" and self.ledger == "postgres"

    @property
    def stops(self) -> bool:
        """Whether some are stopped and go on later: others must be there to take their work meanwhile."""
        return self.shared and self.stop_max > 0

    def dice(self, who: str) -> random.Random:
        return random.Random(f"{self.seed}/{self.name}/{who}")

    def settings(self) -> dict:
        return SETTINGS | {"TINTYPE_UPLOAD__EXPIRES": f"{self.expires}s"}
