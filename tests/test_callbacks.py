"""Step 6: signatures and their secrets, when what is sent again, whom a slow endpoint holds back, and the log."""
import base64
import gzip
import hashlib
import json
import os
import re
import socket
import sqlite3
import ssl
import subprocess
import time
import uuid
from datetime import datetime, timezone
from email.utils import formatdate

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

import corpus
from support import tintype
from support.ministack import MiniStack
from support.process import REPO, wait_for
from support.rawend import NeverConnects, RawEndpoint, black_hole, dripping
from support.receiver import SECRET, Receiver
from support.upload import boto3_style

GOOD = corpus.good()["baseline.jpg"]
BROKEN = GOOD[:200]
OLD = SECRET
NEW, OTHER = ("whsec_" + base64.b64encode(os.urandom(32)).decode() for _ in range(2))
FAST = {"TINTYPE_CALLBACK__SCHEDULE": "300ms,300ms,300ms,300ms,300ms,300ms"}
ONCE = {"TINTYPE_CALLBACK__SCHEDULE": ""}


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request) -> dict:
    """Settings of a ledger of its own."""
    return {"TINTYPE_LEDGER__URL": request.getfixturevalue("postgres").database()} if request.param == "postgres" else {}


def put(server: tintype.Server, data: bytes = GOOD, **body) -> str:
    created = server.create(**body)
    assert boto3_style(created["presign"], data).status == 204
    return created["id"]


def delivery(server: tintype.Server, upload_id: str, status: str | None = None, attempts: int = 0) -> dict:
    """The delivery of an upload, once it is of that status and had so many attempts."""
    def find():
        found = server.call("GET", f"/v1/deliveries?upload={upload_id}").json()["deliveries"]
        return [d for d in found if status in (None, d["status"]) and len(d["attempts"]) >= attempts]
    return wait_for(f"{status} delivery of {upload_id}", find, 30)[0]


def failure(serve, url: str, **env) -> tuple[dict, tintype.Server]:
    """The one attempt that a server makes at an address, and the server."""
    server = serve(backend=None, env={"TINTYPE_CALLBACK__URL": url, **ONCE, **env})
    return delivery(server, put(server), "dead")["attempts"][0], server


def knows(secret: str, call) -> bool:
    try:
        call.verify(secret)
        return True
    except WebhookVerificationError:
        return False


# --- secrets ----------------------------------------------------------------------------------------

def test_secrets_are_changed_without_a_gap(serve, receiver):
    """The steps of docs/callbacks.md, with a delivery that is under way all the time."""
    server = serve(env=FAST | {"TINTYPE_CALLBACK__SECRET": OLD, "TINTYPE_CALLBACK__SCHEDULE": "1s,1s,1s,1s,1s,1s,1s,1s"})
    slow = server.create()
    receiver.answer(slow["id"], 500)
    assert boto3_style(slow["presign"], GOOD).status == 204
    before = wait_for("first attempt", lambda: receiver.of(slow["id"], 500))[0]
    assert (knows(OLD, before), knows(NEW, before)) == (True, False)
    server.stop()

    server.env |= {"TINTYPE_CALLBACK__SECRET": NEW, "TINTYPE_CALLBACK__PREVIOUS_SECRETS": OLD}
    server.start()
    for call in receiver.wait(slow["id"]), receiver.wait(put(server)):
        assert knows(OLD, call) and knows(NEW, call) and not knows(OTHER, call)
        signatures = call.headers["webhook-signature"].split(" ")
        assert len(signatures) == 2 and all(s.startswith("v1,") for s in signatures)
        only_first = {**call.headers, "webhook-signature": signatures[0]}
        Webhook(NEW).verify(call.raw, only_first)  # the newest is first
    assert receiver.of(slow["id"], 200)[0].webhook_id == before.webhook_id
    server.stop()

    server.env |= {"TINTYPE_CALLBACK__PREVIOUS_SECRETS": ""}
    server.start()
    after = receiver.wait(put(server))
    assert (knows(OLD, after), knows(NEW, after)) == (False, True)


def test_results_are_taken_when_any_secret_signs_them(serve, receiver):
    key = "k" * 32
    digest = hashlib.sha256(key.encode()).hexdigest()
    server = serve(ready="/healthz", env={"TINTYPE_AUTH__KEYS": f"sha256:{digest}", "TINTYPE_CALLBACK__SECRET": NEW,
                                          "TINTYPE_CALLBACK__PREVIOUS_SECRETS": OLD})
    for secret, status in [(OTHER, 401), (OLD, 200), (NEW, 200)]:
        created = server.call("POST", "/v1/uploads", json={}, headers={"Authorization": f"Bearer {key}"}).json()
        body = json.dumps({"id": created["id"], "status": "failed", "error": {"code": "corrupt", "message": "no image"}})
        now = datetime.now(timezone.utc)
        signature = Webhook(secret).sign("msg_1", now, body)
        answer = server.call("PUT", f"/v1/uploads/{created['id']}/result", data=body, headers={
            "Content-Type": "application/json", "webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature})
        assert answer.status_code == status, (secret == OLD, answer.text)


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    stack = MiniStack(tmp_path_factory.mktemp("aws"))
    yield stack
    stack.stop()


def test_of_a_secret_that_aws_keeps_both_versions_sign(serve, receiver, aws):
    """As docs/callbacks.md has it; a start fetches at once what a running server fetches within five minutes."""
    manager = aws.client("secretsmanager")
    made = manager.create_secret(Name=f"tintype-{uuid.uuid4().hex}", SecretString=OLD)
    with_aws = aws.env | {"TINTYPE_CALLBACK__SECRET": "", "TINTYPE_CALLBACK__SECRET_FROM": made["ARN"]}
    server = serve(start=False, env=with_aws)

    def told() -> tuple[bool, bool]:
        server.start()
        call = receiver.wait(put(server))
        server.stop()
        assert "does not sign" not in server.daemon.log.read_text()
        return knows(OLD, call), knows(NEW, call)

    assert told() == (True, False), "a secret without a previous version"
    manager.put_secret_value(SecretId=made["ARN"], SecretString=NEW.removeprefix("whsec_"))
    assert told() == (True, True)
    manager.update_secret_version_stage(SecretId=made["ARN"], VersionStage="AWSPREVIOUS",
                                        RemoveFromVersionId=made["VersionId"])
    assert told() == (False, True)


# --- endpoints --------------------------------------------------------------------------------------

def presets(server: tintype.Server, **urls) -> None:
    """Presets with an address of their own, in the server's file."""
    text = "".join(f'[presets.{name}]\ncallback_url = "{url}"\nvariants = [{{ name = "original" }}]\n' for name, url in urls.items())
    (server.home / "tintype.toml").write_text(text)


def test_a_preset_may_have_an_endpoint_of_its_own(serve, receiver):
    server = serve(start=False)
    presets(server, avatar=receiver.url + "/avatars/{id}?key={key}", silent="")
    server.start()
    usual, avatar, silent = put(server), put(server, preset="avatar"), put(server, preset="silent")
    assert receiver.wait(usual).path == f"/callback/{usual}"
    call = receiver.wait(avatar)
    assert call.path == f"/avatars/{avatar}?key={avatar}" and call.verify()["preset"]["name"] == "avatar"
    assert server.finish(silent)["status"] == "completed"
    assert server.call("GET", f"/v1/deliveries?upload={silent}").json()["deliveries"] == []


def test_an_endpoint_that_never_answers_holds_back_no_other(serve, receiver, say):
    """Ten thousand deliveries are due at a black hole; an upload for another endpoint is told at once all the same."""
    hole = black_hole()
    server = serve(start=False, env={"TINTYPE_CALLBACK__URL": hole.url + "/{id}", "TINTYPE_CALLBACK__TIMEOUT": "3s"})
    presets(server, quick=receiver.url + "/quick/{id}")
    server.start()
    server.stop()  # the tables are there
    with sqlite3.connect(server.home / "data/tintype.db") as rows:
        ids = [uuid.uuid4().hex for _ in range(10_000)]
        rows.executemany(
            "INSERT INTO deliveries (id, upload_id, url, method, body, status, due_at, created_at, outcome, endpoint)"
            " VALUES (?, ?, ?, 'PUT', '{}', 'pending', 1, 1, 1, ?)",
            [(f"msg_{id}_1", id, f"{hole.url}/{id}", hole.url) for id in ids])
    rows.close()
    server.start()
    wait_for("a full lane", lambda: hole.open == 8)
    times = []
    for _ in range(20):
        upload_id = put(server, preset="quick")
        server.finish(upload_id)
        ended = time.monotonic()
        receiver.wait(upload_id, 10)
        times.append(time.monotonic() - ended)
    say(f"callback after the upload's end, 10 000 due at a black hole: median {sorted(times)[10] * 1000:.0f} ms, longest {max(times) * 1000:.0f} ms")
    assert max(times) < 1, times
    assert hole.most_open == 8
    attempts = len(hole.ids())
    assert attempts >= 8 and len(set(hole.ids())) == attempts, "none is sent twice while the first attempt is under way"
    hole.stop()


def test_no_delivery_is_sent_twice_at_once(serve):
    """Each attempt ends before the next of the same delivery begins, however slow the endpoint is."""
    hole = black_hole()
    server = serve(backend=None, env={"TINTYPE_CALLBACK__URL": hole.url + "/{id}", "TINTYPE_CALLBACK__TIMEOUT": "2s",
                                      "TINTYPE_CALLBACK__SCHEDULE": "10ms,10ms"})
    put(server)
    wait_for("three attempts", lambda: len(hole.ids()) == 3, 20)
    assert hole.most_open == 1 and len(set(hole.ids())) == 1
    hole.stop()


def test_outcomes_of_an_upload_are_told_in_their_order(serve, receiver, ledger):
    server = serve(env=ledger | {"TINTYPE_CALLBACK__SCHEDULE": "1s,1s,1s,1s", "TINTYPE_UPLOAD__REPLACEABLE": "true"})
    created = server.create(filename="a.jpg")
    receiver.answer(created["id"], 500, 500, 500)
    assert boto3_style(created["presign"], BROKEN).status == 204
    wait_for("first attempt", lambda: receiver.of(created["id"]))
    server.at.s3.put_object(Bucket="tintype", Key=f"temp/{created['id']}.jpg", Body=GOOD, ContentType="image/jpeg")
    wait_for("second outcome", lambda: server.status(created["id"])["status"] == "completed")
    other = put(server)
    told = wait_for("both outcomes", lambda: (r := receiver.of(created["id"])) and len(r) == 5 and r, 20)
    assert [(call.body["status"], call.answered) for call in told] == [("failed", 500)] * 3 + [("failed", 200), ("completed", 200)]
    assert len({call.webhook_id for call in told}) == 2
    assert receiver.wait(other).at < told[-1].at, "other uploads are not held back"


def test_a_dead_outcome_lets_the_next_one_go(serve, receiver):
    server = serve(env=ONCE | {"TINTYPE_UPLOAD__REPLACEABLE": "true"})
    created = server.create(filename="a.jpg")
    receiver.answer(created["id"], 500)
    assert boto3_style(created["presign"], BROKEN).status == 204
    delivery(server, created["id"], "dead")
    server.at.s3.put_object(Bucket="tintype", Key=f"temp/{created['id']}.jpg", Body=GOOD, ContentType="image/jpeg")
    assert receiver.wait(created["id"]).body["status"] == "completed"
    # The dead one would now be taken for the newer: sending all again leaves it out, sending it again by its id does not.
    answer = server.call("POST", "/v1/deliveries/resend", json={"status": "dead"})
    assert (answer.status_code, answer.json()) == (202, {"resent": 0, "superseded": 1})
    dead = delivery(server, created["id"], "dead")
    assert server.call("POST", f"/v1/deliveries/{dead['id']}/resend").status_code == 202
    wait_for("the old outcome", lambda: [r for r in receiver.of(created["id"], 200) if r.body["status"] == "failed"])


# --- when ---------------------------------------------------------------------------------------------

def test_the_schedule_outlives_a_kill(serve, receiver, ledger):
    server = serve(env=ledger | {"TINTYPE_CALLBACK__SCHEDULE": "3s,1s,1s"})
    created = server.create()
    receiver.answer(created["id"], 500, 500)
    assert boto3_style(created["presign"], GOOD).status == 204
    first = wait_for("first attempt", lambda: receiver.of(created["id"], 500))[0]
    delivery(server, created["id"], "pending", attempts=1)
    server.daemon.kill()
    server.start()
    receiver.wait(created["id"])
    calls = receiver.of(created["id"])
    assert [call.answered for call in calls] == [500, 500, 200]
    assert calls[1].at - first.at > 2.9, "the wait that was begun is kept to"
    assert len({call.webhook_id for call in calls}) == 1
    stamps = [int(call.headers["webhook-timestamp"]) for call in calls]
    assert all(abs(stamp - call.at) < 2 for stamp, call in zip(stamps, calls)), "of the attempt, not of the outcome"
    assert len({call.headers["webhook-signature"] for call in calls}) == 3 and all(knows(SECRET, call) for call in calls)
    log = delivery(server, created["id"], "delivered", attempts=3)
    assert [attempt["status"] for attempt in log["attempts"]] == [500, 500, 200]


def test_retry_after_may_be_a_date(serve, receiver):
    server = serve(env=FAST)
    created = server.create()
    receiver.answer(created["id"], (503, {"Retry-After": formatdate(time.time() + 4, usegmt=True)}))
    assert boto3_style(created["presign"], GOOD).status == 204
    receiver.wait(created["id"])
    first, second = receiver.of(created["id"])
    assert 2.5 < second.at - first.at < 8


def test_gone_is_dead_at_once_and_told(serve, receiver):
    server = serve(env=FAST)
    created = server.create()
    receiver.answer(created["id"], 410)
    assert boto3_style(created["presign"], GOOD).status == 204
    dead = delivery(server, created["id"], "dead")
    assert len(dead["attempts"]) == 1 and "gone" in dead["attempts"][0]["error"] and dead["next_attempt_at"] is None
    assert server.call("GET", "/readyz").status_code == 200


# --- answers --------------------------------------------------------------------------------------------

def test_redirects_are_not_followed_and_told_by_their_host(serve, receiver):
    server = serve(env=ONCE)
    created = server.create()
    receiver.answer(created["id"], (307, {"Location": f"http://u:hunter2@127.0.0.1:{receiver.port}/elsewhere/?t=s3cr3t"}))
    assert boto3_style(created["presign"], GOOD).status == 204
    error = delivery(server, created["id"], "dead")["attempts"][0]["error"]
    assert "307" in error and "127.0.0.1" in error and "not followed" in error
    assert "s3cr3t" not in error and "hunter2" not in error and "elsewhere" not in error
    assert not [r for r in receiver.received if "elsewhere" in r.path]


def test_an_answer_is_kept_for_the_log_and_no_more_of_it_than_a_kib(serve, ledger):
    words = b"no such user\x00\x1b[2J " + b"x" * 5000
    def refuse(connection, head):
        connection.sendall(b"HTTP/1.1 422 Unprocessable Content\r\nContent-Length: %d\r\n\r\n" % len(words) + words)
        connection.close()
    endpoint = RawEndpoint(refuse)
    attempt, server = failure(serve, endpoint.url, **ledger)
    assert attempt["status"] == 422 and "422" in attempt["error"] and attempt["millis"] < 5000
    assert attempt["response"].startswith("no such user\ufffd") and len(attempt["response"].encode()) <= 1024 + 2
    shown = command(server, "show", command(server, "list").stdout.split("\n")[1].split()[0])
    assert "no such user" in shown.stdout and "\x1b" not in shown.stdout and "\x00" not in shown.stdout
    endpoint.stop()


def test_an_answer_without_an_end_is_cut_off_and_its_status_counts(serve):
    sent = []
    def flood(connection, head):
        sent.append(0)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while True:
            sent[-1] += connection.send(b"x" * 65536)
    endpoint = RawEndpoint(flood)
    server = serve(backend=None, env={"TINTYPE_CALLBACK__URL": endpoint.url})
    done = delivery(server, put(server), "delivered")
    assert done["attempts"][0]["response"] == "x" * 1024
    wait_for("the end of the flood", lambda: endpoint.open == 0, 5)
    assert sent[0] < 16 << 20, "what was sent fills the buffers of the network, and no more"
    endpoint.stop()


def test_a_compressed_answer_is_not_unpacked(serve):
    bomb = gzip.compress(bytes(100 << 20))
    def answer(connection, head):
        connection.sendall(b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
    endpoint = RawEndpoint(answer)
    attempt, _ = failure(serve, endpoint.url)
    assert attempt["response"].startswith("\x1f\ufffd") and b"accept-encoding" not in endpoint.heads[0].lower()
    endpoint.stop()


@pytest.mark.parametrize("head, drops", [(b"HTTP/1.1 200 OK\r\n", b"x-slow: 1\r\n"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")])
def test_a_dripping_answer_ends_with_the_timeout(serve, head, drops):
    endpoint = dripping(head, drops)
    attempt, _ = failure(serve, endpoint.url, TINTYPE_CALLBACK__TIMEOUT="1500ms")
    assert attempt["status"] is None and "callback.timeout" in attempt["error"]
    assert 1400 < attempt["millis"] < 3000
    endpoint.stop()


def test_a_dripping_body_takes_nothing_back(serve):
    endpoint = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x")
    server = serve(backend=None, env={"TINTYPE_CALLBACK__URL": endpoint.url, "TINTYPE_CALLBACK__TIMEOUT": "1500ms"})
    attempt = delivery(server, put(server), "delivered")["attempts"][0]
    assert attempt["status"] == 200 and 1400 < attempt["millis"] < 3000
    endpoint.stop()


def test_connecting_has_a_timeout_of_its_own(serve):
    endpoint = NeverConnects()
    attempt, _ = failure(serve, endpoint.url, TINTYPE_CALLBACK__CONNECT_TIMEOUT="500ms")
    assert "callback.connect_timeout" in attempt["error"] and 400 < attempt["millis"] < 2500
    endpoint.stop()


# --- what cannot be reached -----------------------------------------------------------------------------

def test_errors_help_and_hold_no_secret(serve, receiver, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    unknown = Receiver()
    unknown.server.socket = context.wrap_socket(unknown.server.socket, server_side=True)
    closing = RawEndpoint(lambda connection, head: connection.close())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[1]
    cases = {
        "dns": ("https://me:hunter2@no-such-host.invalid/{id}?token=s3cr3t", ["no-such-host.invalid", "cannot be resolved"]),
        "refused": (f"http://me:hunter2@127.0.0.1:{nobody}/{{id}}?token=s3cr3t", [f"127.0.0.1:{nobody}", "nothing listens"]),
        "no tls": (f"https://me:hunter2@127.0.0.1:{receiver.port}/{{id}}?token=s3cr3t", ["TLS"]),
        "unknown": (f"https://me:hunter2@localhost:{unknown.port}/{{id}}?token=s3cr3t", ["certificate", "localhost"]),
        "closed": (f"http://me:hunter2@127.0.0.1:{closing.port}/{{id}}?token=s3cr3t", ["ended the connection"]),
    }
    server = serve(backend=None, env=ONCE, start=False)
    presets(server, **{name.replace(" ", "-"): url for name, (url, _) in cases.items()})
    server.start()
    for name, (_, parts) in cases.items():
        attempt = delivery(server, put(server, preset=name.replace(" ", "-")), "dead")["attempts"][0]
        assert all(part in attempt["error"] for part in parts), (name, attempt["error"])
    everything = server.daemon.log.read_text() + server.call("GET", "/v1/deliveries").text + command(server, "list", "--json").stdout
    assert "s3cr3t" not in everything and "hunter2" not in everything and "no-such-host.invalid" in everything
    unknown.stop(), closing.stop()


PRIVATE = {"TINTYPE_CALLBACK__ALLOW_PRIVATE": "false"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_private_addresses_are_refused_however_they_are_written(serve, receiver, host):
    attempt, server = failure(serve, f"http://{host}:{receiver.port}/private/{{id}}", **PRIVATE)
    assert "private network" in attempt["error"] and "callback.allow_networks" in attempt["error"]
    assert not [r for r in receiver.received if r.path.startswith("/private/")]


def test_no_proxy_leads_around_the_guard(serve, receiver):
    proxies = {name: receiver.url for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY")}
    attempt, _ = failure(serve, f"http://localhost:{receiver.port}/proxied/{{id}}", **PRIVATE, **proxies)
    assert "private network" in attempt["error"] and not [r for r in receiver.received if "/proxied/" in r.path]


def test_listed_networks_are_open_and_the_rest_is_not(serve, receiver):
    six = socket.create_server(("::1", 0), family=socket.AF_INET6)
    networks = PRIVATE | {"TINTYPE_CALLBACK__ALLOW_NETWORKS": "127.0.0.0/8, 10.20.0.0/16"}
    server = serve(start=False, env=ONCE | networks | {"TINTYPE_CALLBACK__URL": f"http://localhost:{receiver.port}/listed/{{id}}"})
    presets(server, six=f"http://[::1]:{six.getsockname()[1]}/{{id}}", ten="http://10.21.0.1/{id}")
    server.start()
    receiver.wait(put(server)).verify()
    for preset in ("six", "ten"):
        assert "private network" in delivery(server, put(server, preset=preset), "dead")["attempts"][0]["error"]
    six.close()


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"])
def test_metadata_services_are_refused_even_where_private_networks_are_open(serve, host):
    attempt, _ = failure(serve, f"http://{host}/latest/{{id}}", TINTYPE_CALLBACK__ALLOW_PRIVATE="true")
    assert "metadata service" in attempt["error"] and attempt["millis"] < 1000


# --- the log --------------------------------------------------------------------------------------------

def command(server: tintype.Server, *args) -> subprocess.CompletedProcess:
    return tintype.run("deliveries", *args, "--data", server.home / "data", env=server.env, cwd=server.home)


def test_dead_deliveries_are_seen_and_sent_again_by_command(serve, receiver, ledger):
    server = serve(env=ONCE | ledger)
    ids = [put(server) for _ in range(2)]
    created = [server.create() for _ in range(3)]
    for c in created:
        receiver.answer(c["id"], (500, {"content-length": "0"}))
        assert boto3_style(c["presign"], GOOD).status == 204
    dead = {c["id"]: delivery(server, c["id"], "dead")["id"] for c in created}
    for upload_id in ids:
        delivery(server, upload_id, "delivered")
    log = server.daemon.log.read_text()
    assert all(f"tintype deliveries resend {webhook_id}" in log for webhook_id in dead.values()), "each death is a warning"
    assert server.call("GET", "/readyz").status_code == 200

    listed = command(server, "list", "--status", "dead")
    assert listed.returncode == 0 and all(webhook_id in listed.stdout for webhook_id in dead.values())
    assert len(listed.stdout.splitlines()) == 4 and "500 Internal Server Error" in listed.stdout
    lines = [json.loads(line) for line in command(server, "list", "--json", "--upload", ids[0]).stdout.splitlines()]
    assert [line["upload_id"] for line in lines] == [ids[0]] and lines[0]["attempts"][0]["status"] == 200

    first, *rest = created
    shown = command(server, "show", dead[first["id"]])
    assert all(part in shown.stdout for part in (first["id"], "dead", "500", '"status":"completed"', " ms")), shown.stdout
    same = json.loads(command(server, "show", dead[first["id"]], "--json").stdout)
    assert same == server.call("GET", f"/v1/deliveries/{dead[first['id']]}").json()

    started = time.monotonic()
    assert command(server, "resend", dead[first["id"]]).returncode == 0
    receiver.wait(first["id"], 5)
    assert time.monotonic() - started < 4, "the running server sees it within its poll interval"
    assert receiver.wait(first["id"]).webhook_id == dead[first["id"]]
    assert len(delivery(server, first["id"], "delivered", attempts=2)["attempts"]) == 2

    none = command(server, "resend", "--dead", "--since", "2030-01-01T00:00:00Z")
    assert (none.returncode, json.loads(none.stdout)) == (0, {"resent": 0, "superseded": 0})
    all_of_them = command(server, "resend", "--dead", "--since", "1h")
    assert (all_of_them.returncode, json.loads(all_of_them.stdout)) == (0, {"resent": 2, "superseded": 0})
    for c in rest:
        receiver.wait(c["id"], 5)
    wait_for("no dead ones", lambda: command(server, "list", "--status", "dead").stdout.count("\n") == 1)


def test_the_next_start_tells_how_many_are_dead(serve, receiver):
    server = serve(env=ONCE)
    created = server.create()
    receiver.answer(created["id"], 410)
    assert boto3_style(created["presign"], GOOD).status == 204
    delivery(server, created["id"], "dead")
    server.stop()
    server.daemon.log.write_text("")
    server.start()
    told = wait_for("the warning", lambda: [line for line in server.daemon.log.read_text().splitlines() if "resend --dead" in line])
    assert "WARN" in told[0] and "dead=1" in told[0]
    answer = server.call("POST", "/v1/deliveries/resend", json={"status": "dead", "since": "1d"})
    assert (answer.status_code, answer.json()["resent"]) == (202, 1)
    receiver.wait(created["id"])


def test_wrong_questions_are_told_what_would_be_right(serve, receiver, tmp_path):
    server = serve()
    assert command(server, "show", "msg_none_1").returncode == 1
    assert command(server, "resend", "msg_none_1").returncode == 1
    for args in (("list", "--status", "lost"), ("resend",), ("resend", "--since", "2d"), ("resend", "--dead", "--since", "soon"),
                 ("list", "--upload", "me")):
        assert command(server, *args).returncode == 2, args
    nowhere = tintype.run("deliveries", "list", "--data", tmp_path / "nowhere", cwd=tmp_path)
    assert nowhere.returncode == 1 and "nowhere" in nowhere.stderr and not (tmp_path / "nowhere").exists()
    for path, body in [("/v1/deliveries/msg_none_1/resend", None), ("/v1/deliveries/msg_none_1", None)]:
        answer = server.call("POST" if path.endswith("resend") else "GET", path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for body in ({}, {"status": "delivered"}, {"status": "dead", "since": "soon"}, {"status": "dead", "sinze": "2d"}):
        answer = server.call("POST", "/v1/deliveries/resend", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text
    assert server.call("GET", "/v1/deliveries?status=lost").status_code == 400


def test_the_signature_that_the_page_prints_is_what_its_command_and_a_library_give():
    page = (REPO / "docs/callbacks.md").read_text()
    secret, told = re.search(r"the secret `(whsec_\S+)`", page)[1], re.search(r"the signature is `(v1,\S+)`", page)[1]
    command = re.search(r"```sh\n(printf 'msg_1.*?)```", page, re.S)[1]
    done = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, check=True)
    assert f"v1,{done.stdout.strip()}" == told == Webhook(secret).sign("msg_1", datetime.fromtimestamp(1_700_000_000, timezone.utc), "{}")
