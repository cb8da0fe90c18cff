"""What breaks around Tintype: it waits, says so, goes on by itself when the fault is over, and has lost nothing.

Each test prints its row of the table in docs/reliability.md: the fault, what happened.
"""
import random
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import corpus
from support.clock import Clock
from support.flaky import Flaky
from support.postgres import Postgres
from support.process import free_port, wait_for
from support.receiver import Receiver
from support.tintype import notification
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
CALLBACKS = {"TINTYPE_CALLBACK__SCHEDULE": ",".join(["500ms", "1s"] + ["2s"] * 60), "TINTYPE_CALLBACK__TIMEOUT": "2s"}
SOON = {"TINTYPE_QUEUE__EVENT_TIME": "1s", "TINTYPE_QUEUE__RECONCILE": "2s"}


def insist(call, good: set[int], within: float = 60):
    """As a client should: until it is answered for good. The number of answers that were not."""
    refused, until = 0, time.monotonic() + within
    while time.monotonic() < until:
        try:
            answer = call()
            status = getattr(answer, "status_code", None) or answer.status
            if status in good:
                return answer, refused
            assert status >= 500, status
        except (OSError, requests.RequestException):
            pass
        refused += 1
        time.sleep(0.2)
    raise TimeoutError(f"refused {refused} times in {within} s")


def upload(server, n: int = 0) -> tuple[dict, int]:
    answer, refused = insist(lambda: requests.post(server.url + "/v1/uploads", json={"filename": "a.jpg", "metadata": {"n": str(n)}}, timeout=30), {201})
    created = answer.json()
    _, more = insist(lambda: boto3_style(created["presign"], PHOTO), {204})
    return created, refused + more


def whole(server, receiver, created: list[dict], within: float = 60) -> None:
    """Each is completed, its variants are there, its callback came under one id."""
    until = time.monotonic() + within
    for each in created:
        end = wait_for(f"end of {each['id']}", lambda: (lambda u: u if u["status"] in ("completed", "failed") else None)(server.status(each["id"])),
                       max(until - time.monotonic(), 1), 0.1)
        assert end["status"] == "completed", end
        for variant in end["manifest"]["variants"]:
            assert len(requests.get(variant["url"], timeout=30).content) == variant["bytes"]
        receiver.wait(each["id"], max(until - time.monotonic(), 1)).verify()
        assert len({call.webhook_id for call in receiver.of(each["id"])}) == 1


def test_store_that_fails_one_request_in_three(serve, seaweedfs, receiver, say):
    """503 SlowDown, resets before and after the request is done, answers cut off, and some that hang."""
    bucket, dice = seaweedfs.bucket("faulty"), random.Random(1)
    seen, sick, lock = {}, threading.Event(), threading.Lock()
    faults = [503] * 4 + [500, "reset", "reset", "reset after", "reset after", "cut", "cut", "hang"]

    def refuse(method, key):
        with lock:
            if not sick.is_set() or dice.random() > 0.33:
                return 0
            fault = dice.choice(faults)
            seen[fault] = seen.get(fault, 0) + 1
            return fault
    proxy = Flaky(bucket.endpoint, refuse)
    try:
        server = serve(env=bucket.env | CALLBACKS | SOON | {"TINTYPE_STORE__ENDPOINT": proxy.endpoint})
        sick.set()
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            threading.Timer(8, proxy.release).start()
            sent = list(pool.map(lambda n: upload(server, n), range(40)))
        time.sleep(max(8 - (time.monotonic() - began), 0))
        sick.clear()
        healed = time.monotonic()
        whole(server, receiver, [created for created, _ in sent], 120)
        say(f"{sum(seen.values())} of the store's answers broken ({', '.join(f'{n} {fault}' for fault, n in seen.items())}); "
            f"clients tried {sum(refused for _, refused in sent)} forms again; 40 uploads completed, the last {time.monotonic() - healed:.1f} s after the end")
    finally:
        proxy.stop()


def test_store_that_is_gone_for_a_while(serve, seaweedfs, receiver, say):
    """The upload is in the store and told, and then the store refuses every connection."""
    bucket, gone = seaweedfs.bucket("gone"), threading.Event()
    proxy = Flaky(bucket.endpoint, lambda method, key: "reset" if gone.is_set() else 0)
    try:
        server = serve(env=bucket.env | CALLBACKS | SOON | {"TINTYPE_STORE__ENDPOINT": proxy.endpoint})
        created = [upload(server, n)[0] for n in range(5)]
        gone.set()
        for each in created:
            server.announce(bucket.bucket, each["presign"]["fields"]["key"])
        wait_for("not ready", lambda: requests.get(server.url + "/readyz", timeout=60).status_code == 503, 90)
        assert requests.get(server.url + "/healthz", timeout=5).status_code == 200
        assert {server.status(each["id"])["status"] for each in created} == {"processing"}
        gone.clear()
        healed = time.monotonic()
        whole(server, receiver, created, 120)
        say(f"5 jobs waited while the store was gone; all completed {time.monotonic() - healed:.1f} s after it came back")
    finally:
        proxy.stop()


def test_sqlite_file_locked_by_another_program(serve, receiver, say):
    """Sixteen seconds: longer than the ledger waits for a lock."""
    server = serve(env=CALLBACKS)
    before = [upload(server, n)[0] for n in range(5)]
    other = sqlite3.connect(server.home / "data/tintype.db", isolation_level=None, timeout=10)
    other.execute("BEGIN EXCLUSIVE")
    locked, answers = time.monotonic(), []
    with ThreadPoolExecutor(8) as pool:
        under_way = [pool.submit(upload, server, n) for n in range(8)]
        while time.monotonic() - locked < 16:
            answers.append(requests.get(server.url + "/healthz", timeout=5).status_code)
            time.sleep(0.5)
        other.execute("ROLLBACK")
        released = time.monotonic()
        sent = [each.result() for each in under_way]
    other.close()
    whole(server, receiver, before + [created for created, _ in sent])
    assert set(answers) == {200}
    say(f"locked for 16 s: {sum(refused for _, refused in sent)} requests of 8 clients refused with 503 and tried again; "
        f"13 uploads completed, the last {time.monotonic() - released:.1f} s after the lock was gone")


def test_callback_host_that_is_a_black_hole(serve, say):
    """A host that takes no connection and refuses none; then it is well again."""
    hole = socket.socket()
    hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hole.bind(("127.0.0.1", free_port()))
    hole.listen(0)
    port, full = hole.getsockname()[1], [socket.socket() for _ in range(4)]
    for filler in full:  # what the queue of connections holds; all others wait for an answer that never comes
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    server = serve(backend=None, env=CALLBACKS | {"TINTYPE_CALLBACK__URL": f"http://127.0.0.1:{port}/{{id}}"})
    began = time.monotonic()
    created = [upload(server, n)[0] for n in range(20)]
    for each in created:
        assert server.finish(each["id"])["status"] == "completed"
    developed = time.monotonic() - began
    tries = wait_for("attempts", lambda: (lambda all_: all_ if len(all_) == 20 and all(d["attempts"] for d in all_) else None)(server.deliveries()), 60)
    assert {attempt["status"] for delivery in tries for attempt in delivery["attempts"]} == {None}
    for filler in full:
        filler.close()
    hole.close()
    receiver = Receiver(port)
    healed = time.monotonic()
    try:
        for each in created:
            receiver.wait(each["id"], 60)
            assert len({call.webhook_id for call in receiver.of(each["id"])}) == 1
        say(f"20 uploads developed in {developed:.1f} s all the same; every callback within {time.monotonic() - healed:.1f} s of the end")
    finally:
        receiver.stop()


FAULTS = {
    "restarted": lambda postgres: postgres.restart(),
    "killed": lambda postgres: (postgres.kill(), time.sleep(3), postgres.start()),
    "hung-for-ten-seconds": lambda postgres: (postgres.pause(), time.sleep(10), postgres.resume()),
    "away-for-ten-seconds": lambda postgres: (postgres.shut(), time.sleep(10), postgres.start()),
}


@pytest.fixture(scope="module")
def database():
    """A Postgres of its own, which keeps what it was told over a kill."""
    server = Postgres(durable=True)
    yield server
    server.stop()


@pytest.mark.parametrize("fault", FAULTS)
def test_postgres_in_the_middle_of_work(serve, seaweedfs, database, receiver, say, fault):
    """Two servers and a worker go on by themselves: none is started again."""
    bucket = seaweedfs.bucket(f"postgres{random.randrange(10**9)}")
    env = bucket.env | CALLBACKS | SOON | {"TINTYPE_LEDGER__URL": database.database(), "TINTYPE_QUEUE__LEASE": "3s"}
    nodes = [serve(f"node{n}", env=env, command=command) for n, command in enumerate(["serve", "serve", "work"])]
    begun, stop, done = time.monotonic(), threading.Event(), []

    def client(number: int):
        while not stop.is_set():
            created, refused = upload(nodes[number % 2], number)
            if number % 2:  # the other half is for the reconciler to find
                key = created["presign"]["fields"]["key"]
                _, more = insist(lambda: requests.post(nodes[0].url + "/v1/events", json=notification(bucket.bucket, key), timeout=30), {200})
                refused += more
            done.append((created, refused))
            time.sleep(0.1)
    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client, number) for number in range(6)]
        time.sleep(2)
        broke = time.monotonic()
        FAULTS[fault](database)
        healed = time.monotonic()
        time.sleep(2)
        stop.set()
        for each in clients:
            each.result()
    whole(nodes[0], receiver, [created for created, _ in done], 90)
    assert all(node.daemon.child.poll() is None for node in nodes)
    assert database.sql("SELECT count(*) FROM jobs", env["TINTYPE_LEDGER__URL"]) == "0"
    say(f"broken {broke - begun:.0f} s after the start for {healed - broke:.1f} s: {sum(refused for _, refused in done)} requests refused and tried again; "
        f"{len(done)} uploads completed, the last {time.monotonic() - healed:.1f} s after the end; no process was started again")


@pytest.mark.parametrize("jump", [2 * 3600, -2 * 3600], ids=["two-hours-forwards", "two-hours-back"])
def test_clock_that_jumps(serve, receiver, tmp_path, say, jump):
    """Uploads under way, waiting callbacks and running leases as the clock jumps; then it is set right again."""
    clock = Clock(tmp_path / "clock")
    server = serve(env=CALLBACKS | SOON | clock.env)
    waiting = upload(server)[0]
    receiver.answer(waiting["id"], *[500] * 3)
    early = [upload(server, n)[0] for n in range(5)]
    asked = server.create(filename="a.jpg")  # a credential that the jump forwards ends, by the server's clock
    clock.jump(jump)
    jumped = time.monotonic()
    late = boto3_style(asked["presign"], PHOTO).status
    assert late == (403 if jump > 0 else 204)
    during = [upload(server, n)[0] for n in range(5)]
    for each in early + during + ([asked] if late == 204 else []):
        assert wait_for("completed", lambda: server.status(each["id"])["status"] == "completed", 60)
    took = time.monotonic() - jumped
    time.sleep(max(6 - took, 0))  # what looks at the clock looks every five seconds
    last = server.create(filename="a.jpg")
    receiver.answer(last["id"], 500)
    assert boto3_style(last["presign"], PHOTO).status == 204
    wait_for("a refusal", lambda: receiver.of(last["id"], 500), every=0.01)
    clock.jump(0)  # the pause that begins here ends by the clock that was wrong
    again = time.monotonic()
    late_ones = [asked] if late == 204 else []
    for each in [waiting, *early, *during, *late_ones, last]:
        calls = wait_for("callback", lambda: receiver.of(each["id"], 200), 60)
        assert len({call.webhook_id for call in receiver.of(each["id"])}) == 1 and calls[0].raw
    if jump > 0:
        assert wait_for("expired", lambda: server.status(asked["id"])["status"] == "expired")
    say(f"{'forwards' if jump > 0 else 'back'}: 10 uploads before and after completed within {took:.1f} s of the jump; "
        f"all callbacks within {time.monotonic() - again:.1f} s of the clock's being right again")


def test_a_ledger_that_is_away_is_the_part_that_readyz_names(serve, seaweedfs):
    """Whose key it is that asks stands in the ledger too."""
    bucket, database = seaweedfs.bucket("ledger-away"), Postgres()
    try:
        server = serve(env=bucket.env | {"TINTYPE_LEDGER__URL": database.database()})
        database.stop()
        time.sleep(3)  # keys are known for a moment
        for headers in ({}, {"Authorization": "Bearer tt_nobodys"}):
            ready = requests.get(server.url + "/readyz", headers=headers, timeout=60)
            assert (ready.status_code, ready.json().get("ledger"), ready.json().get("store")) == (503, "failing", "ok"), ready.text
            assert "ledger.url" in ready.json()["detail"] and not ready.json().get("uploads")
    finally:
        database.stop()
