"""Whose turn it is: an owner's flood holds back nobody else, and what one API key was promised is no other's."""
import hashlib
import json
import re
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import corpus
from support.process import wait_for
from support.upload import boto3_style

SMALL = corpus.save(corpus.photo(320, 240), "JPEG")
SLOW = corpus.save(corpus.photo(2600, 2000, 30), "PNG")
# A GIF of a few kilobytes whose frames are mostly one code of LZW: seconds of work.
FRAME = b"!\xf9\x04\x0d\x01\0\0\0," + struct.pack("<HHHHB", 599, 649, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
MOVING = b"GIF89a" + struct.pack("<HHBBB", 600, 650, 0x80, 0, 0) + bytes(6) + FRAME * 250 + b";"
KEYS = {"one": "the-key-of-the-one-backend", "other": "the-key-of-the-other-backend"}


@pytest.fixture
def two(serve):
    """`two(workers)`: a server with two keys, and sessions that call with them."""
    def start(workers: int):
        hashes = ",".join("sha256:" + hashlib.sha256(key.encode()).hexdigest() for key in KEYS.values())
        server = serve(env={"TINTYPE_AUTH__KEYS": hashes, "TINTYPE_SERVER__WORKERS": str(workers),
                            "TINTYPE_UPLOAD__MAX_BYTES": "64MiB"})
        callers = []
        for key in KEYS.values():
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {key}"
            callers.append(session)
        return server, *callers
    return start


def send(server, caller, data: bytes, filename: str = "a.jpg") -> str:
    created = caller.post(server.url + "/v1/uploads", json={"filename": filename}).json()
    assert boto3_style(created["presign"], data, filename).status == 204
    return created["id"]


def events(server) -> list[tuple[str, str]]:
    """What happened to which upload, in its order: `arrived` and `completed`."""
    found = []
    for line in server.log().splitlines():
        line = re.sub(r"\x1b\[[0-9;]*m", "", line)
        upload = re.search(r"upload=([0-9a-f]{32})", line)
        if upload and "original arrived" in line:
            found.append(("arrived", upload[1]))
        if upload and re.search(r"\bcompleted\b", line):
            found.append(("completed", upload[1]))
    return found


def passed(server, upload_id: str, flood: list[str]) -> tuple[int, int]:
    """How many of a flood were completed between an upload's arrival and its end, and how many after it."""
    wait_for("its end", lambda: ("completed", upload_id) in events(server), 120)
    seen = events(server)
    arrived, ended = seen.index(("arrived", upload_id)), seen.index(("completed", upload_id))
    count = lambda what, part: sum((what, of) in part for of in flood)
    return count("completed", seen[arrived:ended]), count("arrived", seen[:ended]) - count("completed", seen[:ended])


def test_one_backends_flood_holds_no_other_back(two, say):
    """With one worker: what it has in hand is finished, and then it is the other's turn."""
    server, one, other = two(workers=1)
    flood = [send(server, one, SLOW, "a.png")]
    with ThreadPoolExecutor(6) as pool:  # while that one is at work, however busy the machine is
        flood += pool.map(lambda _: send(server, one, SMALL), range(80))
    single = send(server, other, SMALL)
    before, waiting = passed(server, single, flood)
    assert before <= 2, f"{before} of the flood went first"
    assert waiting > 3, "there was no flood any more"
    say(f"a single upload beside 81 of another key: {before} went first, {waiting} waited behind it")


def test_slow_pictures_do_not_take_every_worker(two, say):
    """Two workers, both at slow pictures of one key: another key's thumbnail waits for those two at most."""
    server, one, other = two(workers=2)
    flood = [send(server, one, SLOW, "a.png") for _ in range(12)]
    single = send(server, other, SMALL)
    before, waiting = passed(server, single, flood)
    assert before <= 2, f"{before} slow pictures went first"
    assert waiting > 4, "there were no slow pictures any more"
    # From then on every second place is the other's: its nth waits for the two in hand and one in each place before it.
    later = [send(server, other, SMALL) for _ in range(3)]
    for place, upload_id in enumerate(later):
        assert passed(server, upload_id, flood)[0] <= 2 + place
    say(f"a thumbnail beside 12 slow pictures: {before} went first")


def test_quick_pictures_pass_slow_ones_of_their_own_key_too(two, say):
    """Two workers and six slow pictures: one at a time, so that whoever sends a small one waits for none of them."""
    server, one, other = two(workers=2)
    flood = [send(server, one, MOVING, "a.gif") for _ in range(6)]
    ended = lambda: sum(("completed", upload_id) in events(server) for upload_id in flood)
    took = {"one": [], "other": []}
    for place in range(3):
        for name, caller in ("one", one), ("other", other):
            began = time.monotonic()
            single = send(server, caller, corpus.save(corpus.photo(320, 240, place), "JPEG"))
            state = caller.get(server.url + f"/v1/uploads/{single}?wait=30", timeout=60).json()
            assert state["status"] == "completed"
            took[name].append(round(time.monotonic() - began, 1))
    say(f"small pictures beside six slow ones, of the same key and of another: {took['one']} and {took['other']} s")
    # The one in hand may end meanwhile, and on a busy machine the next.
    assert ended() <= 2, f"{ended()} slow pictures went first: {took}"
    wait_for("the slow ones", lambda: ended() == len(flood), 200)


def test_an_idempotency_key_belongs_to_its_api_key(two):
    server, one, other = two(workers=1)
    ask = lambda caller, body, key="order-1": caller.post(
        server.url + "/v1/uploads", data=body, headers={"Content-Type": "application/json", "Idempotency-Key": key})
    first = ask(one, '{"filename": "a.jpg", "metadata": {"x": 1, "y": "two"}}')
    stranger = ask(other, '{"filename": "a.jpg", "metadata": {"x": 1, "y": "two"}}')
    assert (first.status_code, stranger.status_code) == (201, 201)
    assert first.json()["id"] != stranger.json()["id"] and first.json()["token"] != stranger.json()["token"]
    assert ask(other, '{"filename": "b.jpg"}').status_code == 422, "it has used the key itself by now"
    # The same request, written otherwise.
    again = ask(one, '{ "metadata":{"y":"\\u0074wo","x":1.0},\n "filename":"a.jpg" }')
    assert (again.status_code, again.json()) == (201, first.json())
    assert ask(one, '{"filename": "a.jpg", "metadata": {"x": 2, "y": "two"}}').status_code == 422


def test_without_keys_all_callers_share_one_namespace(serve):
    server = serve()
    ask = lambda body: server.call("POST", "/v1/uploads", data=json.dumps(body),
                                   headers={"Content-Type": "application/json", "Idempotency-Key": "k"})
    assert ask({"filename": "a.jpg", "size": 9}).json() == ask({"size": 9, "filename": "a.jpg"}).json()
