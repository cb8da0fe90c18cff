"""Several processes on one Postgres and one bucket share the work: each does some, no job is with two at once."""
import http.server
import itertools
import json
import random
import signal
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

import corpus
from support import tintype
from support.flaky import Flaky
from support.process import wait_for
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]


class Reads:
    """Between the processes and the store: reading an original takes `slow` seconds, and who reads which at once is noted."""

    def __init__(self, endpoint: str):
        self.slow, self.lock = 0.2, threading.Lock()
        self.now, self.most, self.total = defaultdict(int), defaultdict(int), defaultdict(int)
        self.proxy = Flaky(endpoint, self.pass_on)

    def pass_on(self, method: str, key: str):
        if method != "GET" or not key.startswith("temp/"):
            return 0
        with self.lock:
            self.now[key] += 1
            self.total[key] += 1
            self.most[key] = max(self.most[key], self.now[key])
        time.sleep(self.slow)
        with self.lock:
            self.now[key] -= 1
        return 0


@pytest.fixture
def fleet(serve, seaweedfs, postgres):
    """`fleet("serve", "work", ...)`: processes on a ledger and a bucket of their own, started all at once."""
    bucket, ledger = seaweedfs.bucket(f"fleet{random.randrange(10**9)}"), postgres.database()
    reads, numbers = Reads(bucket.endpoint), itertools.count()

    def start(*commands: str, **env) -> list[tintype.Server]:
        env = bucket.env | {"TINTYPE_STORE__ENDPOINT": reads.proxy.endpoint, "TINTYPE_LEDGER__URL": ledger,
                            "TINTYPE_SERVER__WORKERS": "2", "TINTYPE_QUEUE__LEASE": "3s"} | env
        nodes = [serve(f"node{next(numbers)}", env=env, command=command, start=False) for command in commands]
        for node in nodes:
            node.spawn()
            node.at, node.reads = bucket, reads
        for node in nodes:
            node.daemon.wait_ready(node.is_ready)
        return nodes
    yield start
    reads.proxy.stop()


def sent(server) -> dict:
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], PHOTO).status == 204
    server.announce(server.at.bucket, created["presign"]["fields"]["key"])
    return created


def completed_by(nodes, upload_id: str) -> list[int]:
    return [n for n, node in enumerate(nodes) for line in node.log().splitlines() if "completed" in line and upload_id in line]


def test_three_processes_share_the_work(fleet, receiver, say):
    nodes = fleet("serve", "serve", "work")
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        ids = [created["id"] for created in pool.map(lambda n: sent(nodes[n % 2]), range(60))]
    for n, upload_id in enumerate(ids):
        assert nodes[(n + 1) % 2].finish(upload_id)["status"] == "completed"  # seen by the one that did not make it
        receiver.wait(upload_id).verify()
    took = time.monotonic() - began
    by = [completed_by(nodes, upload_id) for upload_id in ids]
    assert all(len(each) == 1 for each in by), "each job ended once"
    shares = [sum(each == [n] for each in by) for n in range(3)]
    assert min(shares) >= 6, shares
    reads = nodes[0].reads
    assert set(reads.most.values()) == set(reads.total.values()) == {1}, "no original was read by two, or twice"
    assert all(len({call.webhook_id for call in receiver.of(i)}) == 1 for i in ids)
    say(f"60 jobs by serve, serve, work: {shares}, in {took:.1f} s; none with two at once, none twice; "
        f"{sum(len(receiver.of(i)) for i in ids)} callbacks")


def test_token_of_one_is_good_at_another_and_waiting_is_short(fleet):
    one, other = fleet("serve", "serve", TINTYPE_QUEUE__LEASE="60s")
    created = one.create(filename="a.jpg")
    answers = []

    def wait():
        began = time.monotonic()
        answer = requests.get(f"{other.url}/v1/uploads/{created['id']}?wait=30&token={created['token']}", timeout=60)
        answers.append((answer.json()["status"], time.monotonic() - began))
    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(1)
    assert boto3_style(created["presign"], PHOTO).status == 204
    one.announce(one.at.bucket, created["presign"]["fields"]["key"])
    waiting.join()
    assert answers[0][0] == "completed" and answers[0][1] < 10, answers


def test_jobs_of_a_killed_process_are_done_by_another(fleet, say):
    """The worker takes what is there and is killed with it in hand; the server, which had stopped, comes to find it."""
    server, worker = fleet("serve", "work")
    server.reads.slow = 30
    ids = [sent(server)["id"] for _ in range(2)]
    wait_for("jobs in hand", lambda: sum(server.reads.now.values()) == 2)
    holder = wait_for("whose", lambda: [n for n in (server, worker) if connections(n, server.reads.proxy)])
    server.reads.slow = 0
    for node in holder:
        node.daemon.kill()
    killed = time.monotonic()
    for node in holder:
        if node is server:
            node.start()
    for upload_id in ids:
        assert server.finish(upload_id)["status"] == "completed"
    took = time.monotonic() - killed
    assert took < 15
    say(f"{len(holder)} of 2 processes killed with 2 jobs in hand: done by others after {took:.1f} s, under a lease of 3 s")


def connections(node, proxy) -> int:
    """TCP connections of a process to the proxy."""
    port = f"{proxy.server.server_port:04X}"
    wanted = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[2].endswith(":" + port)}
    return len(sockets(node.daemon.pid) & wanted)


def sockets(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def test_drained_process_hands_its_jobs_over_at_once(fleet, say):
    """Long leases: only a hand-over can be quick."""
    server, = fleet("serve", TINTYPE_QUEUE__LEASE="10m", TINTYPE_SERVER__DRAIN="1s")
    server.reads.slow = 30
    ids = [sent(server)["id"] for _ in range(2)]
    wait_for("jobs in hand", lambda: sum(server.reads.now.values()) == 2)
    server.reads.slow = 0
    other, = fleet("serve", TINTYPE_QUEUE__LEASE="10m")
    server.daemon.child.send_signal(signal.SIGTERM)
    told = time.monotonic()
    for upload_id in ids:
        assert other.finish(upload_id)["status"] == "completed"
    took = time.monotonic() - told
    assert took < 10
    say(f"told to end with 2 jobs in hand, drain 1 s, lease 10 min: done by the other after {took:.1f} s")


def test_work_alone_listens_nowhere(fleet):
    server, worker = fleet("serve", "work")
    listening = {line.split()[9] for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
                 if line.split()[3] == "0A"}
    assert sockets(server.daemon.pid) & listening and not sockets(worker.daemon.pid) & listening
    assert server.finish(sent(server)["id"])["status"] == "completed"
    assert worker.stop() == 0


class Slow:
    """A backend that takes its time over one callback: the second attempt hangs until it is let go."""

    def __init__(self):
        self.attempts, self.hanging, self.release = [], threading.Event(), threading.Event()
        slow = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                slow.attempts.append(self.headers["webhook-id"])
                number = len(slow.attempts)
                if number == 2:
                    slow.hanging.set()
                    slow.release.wait(120)
                try:
                    self.send_response(500 if number == 1 else 200)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:
                    pass  # who asked is gone

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback/{{id}}"

    def stop(self) -> None:
        self.release.set()
        self.server.shutdown()


@pytest.fixture
def slow():
    backend = Slow()
    yield backend
    backend.stop()


def test_a_process_that_goes_on_after_another_delivered_changes_nothing(fleet, slow, say):
    """SIGSTOP during its last attempt at a callback; another delivers under the lease that ran out; SIGCONT."""
    env = {"TINTYPE_CALLBACK__URL": slow.url, "TINTYPE_CALLBACK__TIMEOUT": "1s", "TINTYPE_CALLBACK__SCHEDULE": "200ms"}
    stopped, = fleet("serve", **env)
    created = sent(stopped)
    assert slow.hanging.wait(60)
    stopped.daemon.child.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    other, = fleet("serve", **env)
    told = lambda: other.call("GET", "/v1/deliveries").json()["deliveries"][0]
    delivered = wait_for("another's delivery", lambda: (d := told())["status"] == "delivered" and d, 90, 0.5)
    took = time.monotonic() - began
    stopped.daemon.child.send_signal(signal.SIGCONT)
    wait_for("its attempt to end", lambda: "too late to count" in stopped.log() or told() != delivered, 30, 0.2)
    now = told()
    assert (now["status"], now["attempts"]) == ("delivered", delivered["attempts"]), json.dumps(now)
    # The next outcome is told at once, too.
    assert other.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202
    assert other.finish(created["id"])["status"] == "completed"
    time.sleep(1)
    assert told()["status"] == "delivered", json.dumps(told())
    assert other.call("GET", "/v1/deliveries?status=dead").json()["deliveries"] == []
    assert len(set(slow.attempts)) == 1
    say(f"delivered by another {took:.0f} s after the first was stopped in its last attempt, and delivered it stays")
