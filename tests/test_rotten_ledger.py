"""Pages of the ledger that turn bad while the server is stopped: uploads go on, or it is said, and never neither."""
import os
import random
import shutil
import sqlite3
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests

import corpus
from support import tintype
from support.process import wait_for
from support.upload import boto3_style

IMAGE = corpus.save(corpus.photo(64, 48), "JPEG")
SEED = int(os.environ.get("ROTTEN_SEED", 7))
PAGES = int(os.environ.get("ROTTEN_PAGES", 16))  # 48 in the long form: all the roots, and leaves at random
BOUND = 30  # seconds until it is said


def send(server) -> str:
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], IMAGE).status == 204
    return created["id"]


@pytest.fixture(scope="module")
def good(tmp_path_factory, receiver):
    """A server's data, with a ledger of some hundred pages."""
    server = tintype.Server(tmp_path_factory.mktemp("good"), receiver)
    ids = [send(server) for _ in range(40)] + [server.create(filename="a.jpg")["id"] for _ in range(40)]
    for upload_id in ids[:40]:
        assert server.finish(upload_id)["status"] == "completed"
    server.stop()
    with closing(sqlite3.connect(server.home / "data/tintype.db")) as ledger:
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        roots = [row[0] for row in ledger.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0 ORDER BY rootpage")]
        count, = ledger.execute("PRAGMA page_count").fetchone()
    return server.home / "data", roots, count


def pages(roots: list[int], count: int) -> list[int]:
    """Those that are decided: every table's and index's first page in turn, then any."""
    dice = random.Random(SEED)
    chosen = dice.sample(roots, min(len(roots), PAGES * 2 // 3))
    rest = [page for page in range(1, count + 1) if page not in chosen]
    return chosen + dice.sample(rest, PAGES - len(chosen))


def rot(file, page: int, dice: random.Random) -> None:
    with open(file, "r+b") as ledger:
        header = ledger.read(100)
        size = struct.unpack(">H", header[16:18])[0] or 1
        size = 65536 if size == 1 else size
        ledger.seek((page - 1) * size + (100 if page == 1 else 0))
        ledger.write(dice.randbytes(size // 2))


def what_comes_of(server) -> str:
    """`harmless`, `refused` or `told`; an assertion where it is silent."""
    server.spawn()
    try:
        wait_for("an answer", lambda: server.daemon.child.poll() is not None or answers(server), BOUND)
    except TimeoutError:
        raise AssertionError("neither up nor down") from None
    if server.daemon.child.poll() is not None:
        said = server.log()
        assert "damaged" in said and "restore a backup" in said, said[-500:]
        return "refused"
    for _ in range(3):
        try:
            upload_id = send(server)
            server.finish(upload_id, timeout=BOUND)
        except (AssertionError, TimeoutError, requests.RequestException) as error:
            wait_for(f"/readyz to tell after {error!r}", lambda: is_told(server), BOUND)
            return "told"
    # All goes well, or it was told all the same: what nothing needs just now may be needed tomorrow.
    return "told" if is_told(server) else "harmless"


def answers(server) -> bool:
    try:
        return requests.get(server.url + "/healthz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def is_told(server) -> bool:
    ready = requests.get(server.url + "/readyz", timeout=15)
    return ready.status_code == 503 and "restore a backup" in ready.json().get("detail", "")


def test_a_bad_page_is_harmless_or_told_and_never_silent(good, tmp_path, receiver, say):
    data, roots, count = good

    def outcome(page: int) -> str:
        home = tmp_path / f"page{page}"
        shutil.copytree(data, home / "data")
        rot(home / "data/tintype.db", page, random.Random(SEED * 1000 + page))
        server = tintype.Server(home, receiver, start=False, ready="/healthz")
        try:
            return what_comes_of(server)
        except (AssertionError, TimeoutError) as error:
            return f"silent: {error}"
        finally:
            server.stop()
            shutil.rmtree(home)

    chosen = pages(roots, count)
    with ThreadPoolExecutor(4) as pool:  # each mostly waits to hear
        outcomes = dict(zip(chosen, pool.map(outcome, chosen), strict=True))
    found = {what: sum(each == what for each in outcomes.values()) for what in ("harmless", "told", "refused")}
    silent = {page: what for page, what in outcomes.items() if what.startswith("silent")}
    assert not silent, f"of {count} pages (ROTTEN_SEED={SEED}): {silent}"
    assert found["told"] + found["refused"] >= PAGES // 4, found
    say(f"{PAGES} of {count} pages turned bad, one at a time: {found}, none silent")


def test_damage_is_in_metrics_and_log_and_ready_comes_back_with_a_good_copy(good, tmp_path, receiver):
    data, roots, _ = good
    home = tmp_path / "rotten"
    shutil.copytree(data, home / "data")
    rot(home / "data/tintype.db", roots[-1], random.Random(1))
    server = tintype.Server(home, receiver, start=False, ready="/healthz")
    server.start()
    wait_for("to be told", lambda: is_told(server), BOUND)
    assert "tintype_ledger_damaged 1" in server.call("GET", "/metrics").text
    assert "the ledger is damaged" in server.log()
    server.stop()
    for file in (home / "data").glob("tintype.db*"):
        file.unlink()
    shutil.copy(data / "tintype.db", home / "data/tintype.db")
    server.ready = "/readyz"
    server.start()
    assert server.finish(send(server))["status"] == "completed"
    text = server.call("GET", "/metrics").text
    assert "tintype_ledger_damaged 0" in text
    wait_for("the check", lambda: "tintype_ledger_checked_timestamp_seconds 0\n" not in server.call("GET", "/metrics").text)
    server.stop()


def test_ready_means_that_the_ledger_takes_a_write(serve):
    server = serve()
    other = sqlite3.connect(server.home / "data/tintype.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    # One answer is good for a second.
    wait_for("not ready", lambda: server.call("GET", "/readyz").json()["ledger"] == "failing")
    assert server.call("GET", "/readyz").status_code == 503
    other.execute("ROLLBACK")
    wait_for("ready again", lambda: server.call("GET", "/readyz").status_code == 200)
    counts = server.call("GET", "/readyz").json()
    assert not counts["uploads"] and not counts["jobs"], "what was tried left nothing"


@pytest.mark.parametrize("harm", ["removed", "cut off", "replaced", "log removed"])
def test_a_ledger_that_is_gone_while_it_is_used_is_told_and_takes_nothing(serve, harm):
    """SQLite goes on with a file that has no name: what was answered with 201 would be gone at the next start."""
    server = serve()
    server.create(filename="a.jpg")
    assert server.call("GET", "/readyz").ok
    file = server.home / "data/tintype.db"
    if harm == "removed":
        file.unlink()
    elif harm == "cut off":
        os.truncate(file, 0)
    elif harm == "replaced":
        shutil.copy(file, file.with_name("new"))
        file.with_name("new").rename(file)
    else:
        file.with_name("tintype.db-wal").unlink()
    wait_for("it is told", lambda: server.call("GET", "/readyz").status_code == 503, 10)
    assert server.call("GET", "/readyz").json()["ledger"] == "failing"
    assert server.call("POST", "/v1/uploads", json={}).status_code == 503
    assert "while it is in use" in server.log()
    server.daemon.kill()


@pytest.mark.parametrize("harm", ["removed", "emptied"])
def test_a_ledger_that_is_gone_at_the_start_is_not_made_anew(serve, harm):
    """In a new one nobody knew the uploads; and the API keys, whose absence opens the door, were gone."""
    server = serve()
    server.finish(send(server))
    server.stop()
    file = server.home / "data/tintype.db"
    kept = file.read_bytes()
    for part in (file, *server.home.glob("data/tintype.db-*")):
        part.unlink()
    if harm == "emptied":
        file.touch()
    refused = tintype.run("serve", "--data", server.home / "data", env=server.env, timeout=30)
    assert refused.returncode != 0 and "Put it back" in refused.stderr + refused.stdout, refused
    file.write_bytes(kept)
    server.start()
    assert server.call("GET", "/v1/uploads").json()["uploads"][0]["status"] == "completed"


def test_an_upload_that_nobody_works_on_is_found(serve):
    server = serve(env={"TINTYPE_QUEUE__RECONCILE": "1h"})
    upload_id = server.create(filename="a.jpg")["id"]
    with closing(sqlite3.connect(server.home / "data/tintype.db")) as ledger, ledger:
        ledger.execute("UPDATE uploads SET status = 'processing' WHERE id = ?", (upload_id,))
    wait_for("the metric", lambda: "tintype_uploads_stuck 1" in server.call("GET", "/metrics").text, 60, 0.5)
    assert upload_id in server.log() and "do not move" in server.log()
    assert server.call("DELETE", f"/v1/uploads/{upload_id}").status_code == 204
    wait_for("its end", lambda: "tintype_uploads_stuck 0" in server.call("GET", "/metrics").text, 60, 0.5)


def test_a_ledger_whose_first_page_is_rotten_is_named_so(good, tmp_path):
    """Its connections fail as they are made, and the pool of them says only that its time is over."""
    data, _, _ = good
    shutil.copytree(data, tmp_path / "data")
    rot(tmp_path / "data/tintype.db", 1, random.Random(SEED))
    done = tintype.run("keys", "list", "--data", tmp_path / "data", cwd=tmp_path, timeout=90)
    assert done.returncode != 0 and "malformed" in done.stderr and "pool timed out" not in done.stderr, done.stderr
    assert "backup" in done.stderr, "what to do"
