"""The function under fire: instances beside each other, events doubled and out of order, a store that is slow, fails and lies,
instances that are killed. Afterwards everything is read again.

    python tests/torture/function.py --events 2000 --instances 4 --versions
"""
import argparse
import random
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import corpus  # noqa: E402
from support import s3, sets  # noqa: E402
from support.flaky import Flaky  # noqa: E402
from support.function import Function, Killed, in_sqs, record  # noqa: E402
from support.receiver import SECRET, Receiver  # noqa: E402
from support.seaweed import SeaweedFS  # noqa: E402

PATH = "/fire/"
TIMEOUT = 8


class Fire:
    def __init__(self, home: Path, bucket, receiver, events: int, instances: int, seed: int, kills: float = 0.02):
        self.home, self.bucket, self.receiver, self.kills = home, bucket, receiver, kills
        self.dice, self.lock = random.Random(seed), threading.Lock()
        self.faults, self.answers = Counter(), Counter()
        self.sick = True
        self.proxy = Flaky(bucket.endpoint, self.refuse)
        self.history = defaultdict(list)  # key -> what was put, in order
        self.queue = deque(self.notices(events))
        self.open = len(self.queue)
        self.instances = [Function(home / f"i{n}", {
            "CALLBACK_URL": receiver.url + PATH + "{key}/", "TINTYPE_CALLBACK__SECRET": SECRET,
            "TINTYPE_CALLBACK__ALLOW_PRIVATE": "true", "AWS_ENDPOINT_URL": self.proxy.endpoint,
            "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY, "AWS_REGION": s3.REGION,
            "BLUR": "false",
        }, timeout=TIMEOUT) for n in range(instances)]

    def refuse(self, method: str, key: str):
        with self.lock:
            if not self.sick:
                return None
            throw = self.dice.random()
            faults = [(0.03, 503), (0.01, 500), (0.01, "reset"), (0.01, "reset after"), (0.005, "cut"), (0.1, self.dice.random() / 4)]
            if method == "GET" and key.startswith("temp/"):
                faults.insert(0, (0.02, "short"))
            if method in ("PUT", "DELETE") and key.startswith("image/"):
                faults.insert(0, (0.02, "forget"))
            for share, fault in faults:
                if throw < share:
                    self.faults["slow" if isinstance(fault, float) else str(fault)] += 1
                    return fault
                throw -= share
        return None

    def notices(self, events: int) -> list[tuple]:
        """Puts every state, and gives the events, some of them twice, each some way from its place."""
        keys = [f"temp/k{n}.bmp" for n in range(max(events // 12, 2))] + [f"temp/{uuid.UUID(int=self.dice.getrandbits(128)).hex}" for _ in range(max(events // 60, 1))]
        versioned = self.bucket.s3.get_bucket_versioning(Bucket=self.bucket.bucket).get("Status") == "Enabled"
        told, order = [], 0
        while len(told) < events:
            order += 1
            key = self.dice.choice(keys)
            bad = self.dice.random() < 0.1
            data = f"no image {order}".encode() if bad else corpus.save(corpus.photo(64, 48, order if self.dice.random() < 0.9 else 1), "BMP")
            answer = self.bucket.s3.put_object(Bucket=self.bucket.bucket, Key=key, Body=data, ContentType="image/bmp", Metadata={"n": str(order)})
            state = {"eTag": answer["ETag"].strip('"')} | ({"versionId": answer["VersionId"]} if versioned else {})
            self.history[key].append((data, bad, str(order)))
            notice = {"Records": [record(self.bucket.bucket, key, **state | {"sequencer": f"{order:016X}"})]}
            told += [notice] * (2 if self.dice.random() < 0.2 else 1)
        spread = [(n + self.dice.uniform(0, 30), n) for n in range(len(told))]
        return [told[n] for _, n in sorted(spread)]

    def run(self) -> None:
        threads = [threading.Thread(target=self.work, args=(one, n)) for n, one in enumerate(self.instances)]
        [t.start() for t in threads]
        [t.join() for t in threads]

    def work(self, function: Function, seed: int) -> None:
        dice = random.Random(seed)
        while True:
            with self.lock:
                if self.open <= 0:
                    return
                batch = [self.queue.popleft() for _ in range(min(dice.choice([1, 1, 2, 4]), len(self.queue)))]
            if not batch:
                time.sleep(0.2)
                continue
            back = batch
            killer = None
            if dice.random() < self.kills:
                killer = threading.Timer(dice.uniform(0.05, 1.5), lambda: function.daemon and function.daemon.child.kill())
                killer.start()
            try:
                answer = function.invoke(in_sqs(*batch))
                failed = {int(f["itemIdentifier"][1:]) for f in answer.body["batchItemFailures"]} if answer.ok else set(range(len(batch)))
                back = [notice for n, notice in enumerate(batch) if n in failed]
                self.answers["done"] += len(batch) - len(back)
            except Killed:
                self.answers["killed"] += 1
            finally:
                if killer:
                    killer.cancel()
            with self.lock:
                self.answers["again"] += len(back)
                self.open -= len(batch) - len(back)
                for notice in back:  # later, as a queue gives it back
                    self.queue.insert(min(len(self.queue), dice.randrange(1, 40)), notice)
            if back:
                time.sleep(0.3)

    def stop(self) -> None:
        self.sick = False
        for one in self.instances:
            one.stop()
        self.proxy.stop()

    def wrong(self) -> list[str]:
        """What is not as it should be, everything read again."""
        found, told = [], defaultdict(list)
        outcomes = defaultdict(set)
        for call in self.receiver.received:
            if call.path.startswith(PATH):
                body = call.verify_late()
                told[call.path].append(body)
                said = body["original"].get("sha256") or body["error"]["code"], str(body["metadata"])
                outcomes[call.webhook_id].add((body["status"], *said))
        found += [f"{name} tells {sorted(said)}" for name, said in outcomes.items() if len(said) > 1]
        for key, states in self.history.items():
            by_name = not key.endswith(".bmp")
            calls = told[f"{PATH}{key.removeprefix('temp/')}/"]
            manifest = sets.manifest(self.bucket, key.replace("temp/", "image/") + (".bmp" if by_name else ""))
            if manifest and (wrong := sets.foreign(self.bucket, manifest)):
                found.append(f"{key}: foreign under its manifest: {wrong}")
            if by_name:
                completed = {(c["original"]["sha256"], c["metadata"]["n"]) for c in calls if c["status"] == "completed"}
                if len(completed) > 1 or bool(completed) != bool(manifest):
                    found.append(f"{key}: {len(completed)} outcomes under one credential")
                if completed and calls[-1]["status"] != "completed":
                    found.append(f"{key}: completed, and then {calls[-1]['status']}")
                continue
            data, bad, n = states[-1]
            last = calls[-1] if calls else None
            if bad:
                if manifest or not last or last["status"] != "failed":
                    found.append(f"{key}: the newest is no image, and there is {manifest and manifest['original']}, told {last and last['status']}")
            elif not manifest or manifest["original"]["sha256"] != sets.sha256(data) or manifest["metadata"] != {"n": n}:
                found.append(f"{key}: sealed {manifest and manifest['metadata']}, the newest is {n}")
            elif not last or last["status"] != "completed" or last["metadata"] != {"n": n}:
                found.append(f"{key}: told last {last and (last['status'], last['metadata'])}, the newest is {n}")
        return found


def burn(home: Path, bucket, receiver, events: int, instances: int, seed: int, kills: float = 0.02) -> tuple[list[str], str]:
    fire = Fire(home, bucket, receiver, events, instances, seed, kills)
    began = time.monotonic()
    try:
        fire.run()
    finally:
        fire.stop()
    took = time.monotonic() - began
    line = (f"{events} events of {len(fire.history)} keys, {instances} instances, seed {seed}: {took:.0f} s, "
            f"{dict(fire.answers)}, faults {dict(fire.faults)}")
    return fire.wrong(), line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--instances", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=float, default=0.02, help="share of invocations that are killed")
    parser.add_argument("--versions", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        store, receiver = SeaweedFS(Path(home) / "store"), Receiver()
        try:
            bucket = store.bucket("fire")
            if args.versions:
                bucket.s3.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
            wrong, line = burn(Path(home) / "fire", bucket, receiver, args.events, args.instances, args.seed, args.kills)
        finally:
            store.stop()
            receiver.stop()
    print(line)
    print("\n".join(wrong) or "every set is its newest state's, and so is the last callback; every id tells one thing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
