"""Step 5 for a store that does not tell: events pushed as a forwarder would, doubled, late, out of order; and some lost."""
import heapq
import threading
import time

import requests

from support.tintype import notification

from .plan import Plan


class Forwarder(threading.Thread):
    def __init__(self, plan: Plan, bucket: str, cluster):
        super().__init__(name="forwarder", daemon=True)
        self.plan, self.bucket, self.cluster, self.dice = plan, bucket, cluster, plan.dice("forwarder")
        self.due: list[tuple[float, str]] = []
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.lost = self.pushed = 0
        self.error: BaseException | None = None

    def announce(self, key: str) -> None:
        with self.lock:
            if self.dice.random() < 0.2:
                self.lost += 1
                return
            fate, now = self.dice.random(), time.monotonic()
            delays = [self.dice.expovariate(3)]
            if fate < 0.15:
                delays.append(self.dice.expovariate(0.5))  # twice
            elif fate < 0.2:
                delays.append(self.dice.uniform(0.5, 1.5) * self.plan.expires)  # and once more when all is over
            for delay in delays:
                heapq.heappush(self.due, (now + delay, key))

    def run(self) -> None:
        try:
            while not (self.ending.is_set() and not self.due):
                with self.lock:
                    keys = []
                    while self.due and (self.due[0][0] <= time.monotonic()) and len(keys) < 5:
                        keys.append(heapq.heappop(self.due)[1])
                if keys and not self.push(keys):
                    with self.lock:
                        for key in keys:
                            heapq.heappush(self.due, (time.monotonic() + 0.5, key))
                if not keys:
                    time.sleep(0.02)
        except BaseException as error:
            self.error = error

    def push(self, keys: list[str]) -> bool:
        try:
            answer = requests.post(self.cluster.api(self.dice) + "/v1/events", json=notification(self.bucket, *keys), timeout=10)
        except requests.RequestException:
            return False
        assert answer.status_code == 200 or answer.status_code >= 500, answer.text
        self.pushed += answer.status_code == 200
        return answer.status_code == 200

    def finish(self) -> None:
        """Pushes what is left."""
        self.ending.set()
        self.join(120)
        assert not self.is_alive(), "the forwarder could not push its last events"
