"""What strangers can take from others: memory, places, streams, fetches. Each flood is small, and the bound it meets is set
small too; docs/limits.md has those of a server as it comes."""
import contextlib
import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest
import requests

import corpus
from support.peer import ask, connect, hear, status
from support.process import wait_for
from support.proofs import Sns
from support.upload import boto3_style
from test_auth import id_of, keys
from test_event_auth import push, s3_event
from test_front import head
from test_hostile import form

KEY = "strangers-key"
KEYED = {"TINTYPE_AUTH__KEYS": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()}
BEARER = {"Authorization": f"Bearer {KEY}"}
AWAY = "127.0.0.2"  # an address of its own; 127.0.0.1 is a proxy's, and not counted


@pytest.fixture
def keyed(serve):
    def start(**env):
        server = serve(env=KEYED | {f"TINTYPE_{name}": str(value) for name, value in env.items()})
        server.http.headers.update(BEARER)
        return server
    return start


@contextlib.contextmanager
def held(wires: list):
    try:
        yield wires
    finally:
        [wire.close() for wire in wires]


def request(method: str, path: str, length: int, **headers) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
            f"{lines}\r\n").encode()


def backend_is_served(server, times: int = 3) -> None:
    """On connections of its own: what it holds open already is no test of getting in."""
    for _ in range(times):
        answer = requests.post(server.url + "/v1/uploads", json={}, headers=BEARER | {"Connection": "close"}, timeout=10)
        assert answer.status_code == 201, (answer.status_code, answer.text)


# --- bodies ----------------------------------------------------------------------------------------

ROUTES = [("POST", "/v1/uploads"), ("POST", "/v1/events"), ("PUT", "/v1/uploads/0123456789abcdef0123456789abcdef/result"),
          ("POST", "/v1/deliveries/resend"), ("POST", "/async_image_upload/presignedurl/"),
          ("PUT", "/async_image_upload/presignedurl/0123456789abcdef0123456789abcdef/")]


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer nonsense"}], ids=["nothing", "no key"])
def test_who_has_no_key_is_refused_before_the_body_is_sent(keyed, shown):
    server = keyed()
    for method, path in ROUTES:
        with connect(server.url, timeout=5) as wire:
            wire.sendall(request(method, path, 1 << 20, **shown))  # and not a byte of the body
            answer = hear(wire, b"}")
            assert status(answer) == 401 and b"connection: close" in answer.lower(), (method, path, answer)


def test_who_is_unknown_is_refused_before_a_body_is_too_large(keyed):
    answer = ask(keyed().url, request("POST", "/v1/uploads", 1 << 30), timeout=5)
    assert status(answer) == 401, answer


def test_a_key_without_the_scope_sends_no_body(serve):
    server = serve(env={"TINTYPE_AUTH__KEYS": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()} metrics"})
    with connect(server.url, timeout=5) as wire:
        wire.sendall(request("POST", "/v1/uploads", 1 << 20, **BEARER))
        assert status(hear(wire, b"}")) == 403


def test_slow_bodies_cost_what_they_have_sent(keyed, say):
    """A hundred bodies of 4 MiB, three quarters of each sent by who has a key, and then nothing."""
    server = keyed(LIMITS__BODY_MEMORY="32MiB")
    backend_is_served(server)
    before = server.daemon.rss()
    sent = request("POST", "/v1/uploads", 4 << 20, **BEARER) + b" " * (3 << 20)

    def send(wire):
        with contextlib.suppress(OSError):
            wire.sendall(sent)
    with held([connect(server.url, timeout=8) for _ in range(100)]) as wires:
        senders = [threading.Thread(target=send, args=(wire,), daemon=True) for wire in wires]
        [sender.start() for sender in senders]
        seen = []
        for _ in range(12):
            time.sleep(0.5)
            seen.append(server.daemon.rss())
        more = (max(seen) - before) / 2**20
        say(f"100 bodies of 4 MiB that stall: {more:.0f} MiB more, of a budget of 32")
        assert more < 110, "a budget, and the buffers of connections"
        heard = wait_for("a refusal", lambda: [status(hear(wire, b"}")) for wire in wires[:3]], 15)
        assert set(heard) <= {0, 408, 503}
    backend_is_served(server)


def test_a_body_without_memory_is_refused_and_told_when_to_come_again(keyed):
    server = keyed(LIMITS__BODY_MEMORY="16MiB", SERVER__STALL_TIMEOUT="60s", SERVER__MIN_RATE="0")
    stalled = request("POST", "/v1/events", 4 << 20, **BEARER) + b" " * ((4 << 20) - 1)
    with held([connect(server.url) for _ in range(2)]) as wires:
        [wire.sendall(stalled) for wire in wires]
        time.sleep(1)
        # A key has half of it.
        answer = ask(server.url, request("POST", "/v1/events", 3 << 20, Connection="close", **BEARER) + b" " * (3 << 20), timeout=20)
        assert status(answer) == 503 and b"retry-after: 5" in answer.lower(), answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "overloaded"
    wait_for("memory", lambda: server.call("POST", "/v1/uploads", data=" " * (1 << 20) + "{}",
                                           headers={"Content-Type": "application/json"}).status_code == 201, 20)


def test_a_body_of_a_million_values_is_refused(keyed):
    server = keyed()
    before = server.daemon.peak_rss()
    much = "[" + "0," * 2_000_000 + "0]"
    answer = server.call("POST", "/v1/events", data=much, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert server.daemon.peak_rss() - before < 40 << 20


def test_strangers_bodies_at_events_are_small_few_and_short(serve, tmp_path):
    """Where SNS may push, who pushes is known by the body alone."""
    sns = Sns(tmp_path / "sns")
    try:
        server = serve(env=KEYED | sns.env | {"TINTYPE_SERVER__TRUSTED_PROXIES": ""})
        assert status(ask(server.url, request("POST", "/v1/events", 1 << 20), timeout=5)) == 413
        with held([connect(server.url, source=AWAY) for _ in range(8)]) as wires:
            [wire.sendall(request("POST", "/v1/events", 1000) + b"{") for wire in wires]
            time.sleep(0.5)
            assert status(ask(server.url, request("POST", "/v1/events", 1000) + b"{", source=AWAY, timeout=5)) == 503
            answer = push(server, sns.message(json.dumps(s3_event("temp/a.jpg"))))
            assert answer.status_code == 200, answer.text
        for nonsense in ("x", "{}", "[1]", json.dumps(s3_event("temp/a.jpg"))):
            assert push(server, nonsense).status_code == 401
    finally:
        sns.stop()


def test_forms_hold_little_before_their_policy_is_known(keyed, say):
    server = keyed()
    before = server.daemon.rss()
    start = (b"POST /tintype HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 10000000\r\n\r\n"
             b"--b\r\nContent-Disposition: form-data; name=\"key\"")
    with held([connect(server.store) for _ in range(150)]) as wires:
        for wire in wires:
            wire.settimeout(0.3)
            with contextlib.suppress(OSError):
                wire.sendall(start + b"x" * (480 << 10))
        time.sleep(1)
        more = (server.daemon.rss() - before) / 2**20
        say(f"150 forms with 480 KB before any file: {more:.0f} MiB more")
        created = server.create(filename="a.jpg")
        assert boto3_style(created["presign"], corpus.good()["baseline.jpg"]).status == 204
    assert more < 60


# --- places ----------------------------------------------------------------------------------------

def test_idle_and_slow_heads_keep_nobody_out(keyed):
    server = keyed(SERVER__MAX_CONNECTIONS=40, SERVER__HEADER_TIMEOUT="30s", SERVER__KEEP_ALIVE="60s")
    with held([connect(server.url) for _ in range(120)]) as wires:
        [wire.sendall(b"GET / HT") for wire in wires[-40:]]
        backend_is_served(server)
        assert status(ask(server.url, head("/healthz", Connection="close"))) == 200
        assert status(ask(server.url, head("/v1/uploads", Connection="close"))) == 401, "nor another stranger"


def test_a_share_of_the_places_is_for_keys(keyed):
    server = keyed(SERVER__MAX_CONNECTIONS=40, SERVER__RESERVED_CONNECTIONS=10)
    with held([connect(server.url, receive=2048) for _ in range(60)]) as wires:
        [wire.sendall(head("/openapi.json")) for wire in wires]  # and nobody reads the answer
        time.sleep(1)
        backend_is_served(server, 5)
        assert status(ask(server.url, head("/healthz", Connection="close"), timeout=5)) == 200, "a probe restarts what does not answer"


def test_one_key_cannot_take_all_places(serve):
    two = ",".join("sha256:" + hashlib.sha256(key.encode()).hexdigest() for key in (KEY, "other"))
    server = serve(env={"TINTYPE_AUTH__KEYS": two, "TINTYPE_SERVER__MAX_CONNECTIONS": "40", "TINTYPE_SERVER__STALL_TIMEOUT": "60s"})
    slow = request("POST", "/v1/uploads", 1 << 20, Authorization="Bearer other")
    with held([connect(server.url) for _ in range(60)]) as wires:
        [wire.sendall(slow) for wire in wires]
        time.sleep(1)
        backend_is_served(server)
        answer = ask(server.url, request("POST", "/v1/uploads", 2, Authorization="Bearer other", Connection="close"), timeout=5)
        assert status(answer) == 429 and b"retry-after" in answer.lower() and b'"too_many_requests"' in answer


def test_one_address_is_bounded_as_it_comes_and_a_proxy_is_not(keyed):
    server = keyed(SERVER__MAX_CONNECTIONS_PER_ADDRESS=5)
    with held([connect(server.url, source=AWAY) for _ in range(5)]):
        assert status(ask(server.url, head(), source=AWAY, timeout=5)) == 503
        assert status(ask(server.url, head("/healthz", Connection="close"), source="127.0.0.3")) == 200
    created = server.create()
    by_proxy = lambda client: head(f"/v1/uploads/{created['id']}?wait=30&token={created['token']}", X_Forwarded_For=client, Connection="close")
    with held([connect(server.url) for _ in range(5)]) as wires:
        [wire.sendall(by_proxy("198.51.100.1")) for wire in wires]
        time.sleep(0.5)
        answer = ask(server.url, by_proxy("203.0.113.9, 198.51.100.1"), timeout=5)
        assert status(answer) == 429 and b'"too_many_requests"' in answer, "what a client says of itself does not count"
        other = head(f"/v1/uploads/{created['id']}?token={created['token']}", X_Forwarded_For="198.51.100.2", Connection="close")
        assert status(ask(server.url, other, timeout=5)) == 200


def test_others_than_trusted_proxies_are_who_they_are(keyed):
    server = keyed(LIMITS__STREAMS_PER_ADDRESS=2, LIMITS__STREAMS_PER_UPLOAD=0)
    created = server.create()
    stream = lambda n: head(f"/v1/uploads/{created['id']}/events?token={created['token']}", X_Forwarded_For=f"198.51.100.{n}", Connection="close")
    with held([connect(server.url, source=AWAY) for _ in range(2)]) as wires:
        for n, wire in enumerate(wires):
            wire.sendall(stream(n))
            assert b"pending" in hear(wire, b"pending")
        assert status(ask(server.url, stream(9), source=AWAY, timeout=5)) == 429


# --- slow readers ----------------------------------------------------------------------------------

def unsent(port: int) -> int:
    """Bytes that the kernel holds for those who are connected to a port."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(int(row[4].partition(":")[0], 16) for row in rows if row[1].endswith(f":{port:04X}"))


@pytest.mark.parametrize("of", ["the API", "the store"])
def test_an_answer_that_nobody_reads_costs_little(keyed, of):
    """Of the kernel's memory, where nobody looks for it, and of ours."""
    server, readers = keyed(), 200
    url, path, port = server.url, "/openapi.json", server.port
    if of == "the store":
        data = os.urandom((8 << 20) + 7)
        server.at.s3.put_object(Bucket="tintype", Key="image/large.bin", Body=data)
        url, path, port = server.store, "/tintype/image/large.bin", server.store_port
    before = server.daemon.rss()
    with held([connect(url, receive=2048, source=AWAY) for _ in range(readers)]) as wires:
        [wire.sendall(head(path)) for wire in wires]
        wait_for("the answers to begin", lambda: unsent(port) > readers * 2048, 10)
        time.sleep(2)
        assert unsent(port) / readers < 20_000
        assert (server.daemon.rss() - before) / readers < 60_000
        backend_is_served(server)
        whole = requests.get(url + path, timeout=20).content
    assert whole == data if of == "the store" else json.loads(whole), "who reads gets all"


# --- streams ---------------------------------------------------------------------------------------

def test_streams_and_long_polls_of_one_token_are_few(keyed):
    server = keyed()
    one, other = server.create(), server.create()
    stream = lambda upload: head(f"/v1/uploads/{upload['id']}/events?token={upload['token']}", Connection="close")
    poll = lambda upload, wait=30: head(f"/v1/uploads/{upload['id']}?wait={wait}&token={upload['token']}", Connection="close")
    with held([connect(server.url) for _ in range(8)]) as wires:
        for wire in wires[:6]:
            wire.sendall(stream(one))
            assert b"pending" in hear(wire, b"pending")
        [wire.sendall(poll(one)) for wire in wires[6:]]
        time.sleep(0.5)
        for more in (stream(one), poll(one)):
            answer = ask(server.url, more, timeout=5)
            assert status(answer) == 429 and b"retry-after: 5" in answer.lower(), answer
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_many_streams"
        assert status(ask(server.url, poll(one, 0), timeout=5)) == 200, "who does not wait is answered"
        assert status(ask(server.url, poll(other, 1), timeout=5)) == 200, "another's token is another's"
        assert server.status(one["id"], wait=1)["status"] == "pending"
    with connect(server.url) as wire:  # and places come back
        wait_for("a place", lambda: status(ask(server.url, poll(one, 1), timeout=5)) == 200, 10)


def test_streams_in_all_leave_some_to_keys(keyed):
    server = keyed(LIMITS__STREAMS=8)
    uploads = [server.create() for _ in range(7)]
    stream = lambda upload: head(f"/v1/uploads/{upload['id']}/events?token={upload['token']}", Connection="close")
    with held([connect(server.url) for _ in range(6)]) as wires:
        for wire, upload in zip(wires, uploads):
            wire.sendall(stream(upload))
            assert b"pending" in hear(wire, b"pending")
        answer = ask(server.url, stream(uploads[6]), timeout=5)
        assert status(answer) == 503 and b'"overloaded"' in answer and b"retry-after: 5" in answer.lower()
        assert server.status(uploads[6]["id"], wait=1)["status"] == "pending", "a quarter is for keys"


def ends(stream: requests.Response) -> float:
    """Seconds until a stream ends by itself."""
    started = time.monotonic()
    with contextlib.suppress(requests.RequestException):
        for _ in stream.iter_content(64):
            pass
    return time.monotonic() - started


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_stream_ends_with_its_key(serve, how):
    server = serve(env=KEYED)
    server.http.headers.update(BEARER)
    created = server.create()
    lasts = ["--expires", "6s"] if how == "expired" else []
    key = keys(server.home, "create", "--name", "k", "--scope", "uploads:read", *lasts).stdout.strip()
    get = {"headers": {"Authorization": f"Bearer {key}"}, "stream": True, "timeout": 12}
    stream = wait_for("the key", lambda: found if (found := requests.get(created["events_url"], **get)).ok else None, 5)
    poll = []
    waiting = threading.Thread(target=lambda: poll.append(requests.get(created["status_url"] + "?wait=30", **get)))
    waiting.start()
    time.sleep(0.5)
    if how == "revoked":
        assert keys(server.home, "revoke", id_of(key)).returncode == 0
    assert ends(stream) < 11, "a read that times out is no end"
    waiting.join(12)
    assert poll and poll[0].status_code == 401


def test_a_stream_ends_with_its_upload(keyed):
    server = keyed()
    created = server.create()
    stream = requests.get(created["events_url"], params={"token": created["token"]}, stream=True, timeout=12)
    assert server.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    assert ends(stream) < 11


# --- proxies and fetches ---------------------------------------------------------------------------

SIGNS = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-By",
         "X-Forwarded", "X-Real-IP", "CF-Connecting-IP", "CF-Ray", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "Forwarded",
         "Via", "CDN-Loop", "Fastly-Client-IP", "X-Original-Forwarded-For", "X-Envoy-External-Address"]


def test_any_sign_of_a_proxy_shows_one(embedded):
    """Without keys, who calls from this machine is its owner: a proxy there is not."""
    for name in SIGNS:
        for path in ("/v1/uploads", "/metrics"):
            answer = embedded.call("GET", path, headers={name: "x"})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (name, path)
    assert embedded.call("GET", "/v1/uploads", headers={"X-Request-Id": "a", "traceparent": "x"}).status_code == 200


def test_invented_certificates_use_up_nobody_elses_fetches(serve, tmp_path):
    sns = Sns(tmp_path / "sns")
    try:
        server = serve(env=KEYED | sns.env | {"TINTYPE_SERVER__TRUSTED_PROXIES": ""})
        text = json.dumps(s3_event("temp/a.jpg"))
        session = requests.Session()
        session.mount("http://", From(AWAY))
        for n in range(30):
            forged = sns.message(text, SigningCertURL=f"{sns.url}/SimpleNotificationService-{n:032x}.pem")
            assert session.post(server.url + "/v1/events", data=json.dumps(forged), timeout=30).status_code in (401, 503)
        assert len(sns.asked) <= 10, sns.asked
        answer = push(server, sns.message(text))
        assert answer.status_code == 200, answer.text
    finally:
        sns.stop()


def test_a_slow_certificate_holds_no_other_message_back(serve, tmp_path):
    """Four forged messages name certificates that take four seconds each; the true one beside them waits for none."""
    sns, released = Sns(tmp_path / "sns"), threading.Event()
    try:
        server = serve(env=KEYED | sns.env | {"TINTYPE_SERVER__TRUSTED_PROXIES": ""})
        text, forging = json.dumps(s3_event("temp/a.jpg")), []
        for n in range(4):
            path = f"/SimpleNotificationService-{n:032x}.pem"
            sns.pages[path] = lambda: (404, {}) if released.wait(4) else (404, {})
            forged = json.dumps(sns.message(text, SigningCertURL=sns.url + path))
            forging.append(threading.Thread(target=requests.post, args=(server.url + "/v1/events", forged)))
            forging[-1].start()
        wait_for("the slow fetch", lambda: sns.asked, 5)
        began = time.monotonic()
        answer = push(server, sns.message(text))
        assert answer.status_code == 200, answer.text
        assert time.monotonic() - began < 2
        released.set()
        [thread.join(20) for thread in forging]
    finally:
        released.set()
        sns.stop()


def test_messages_that_come_together_fetch_their_certificate_once(serve, tmp_path):
    sns = Sns(tmp_path / "sns")
    certificate = sns.pages[sns.CERTIFICATE]
    sns.pages[sns.CERTIFICATE] = lambda: time.sleep(1) or certificate
    try:
        server, statuses = serve(env=KEYED | sns.env), []
        messages = [sns.message(json.dumps(s3_event(f"temp/{n}.jpg"))) for n in range(10)]
        send = lambda message: statuses.append(requests.post(server.url + "/v1/events", json.dumps(message)).status_code)
        pushing = [threading.Thread(target=send, args=(message,)) for message in messages]
        [thread.start() for thread in pushing]
        [thread.join(20) for thread in pushing]
        assert statuses == [200] * 10 and sns.asked == [sns.CERTIFICATE], (statuses, sns.asked)
    finally:
        sns.stop()


def test_a_certificate_that_could_not_be_had_is_asked_for_again_soon(serve, tmp_path):
    """SNS tries a message again for about a minute."""
    sns = Sns(tmp_path / "sns")
    certificate, sns.pages[sns.CERTIFICATE] = sns.pages[sns.CERTIFICATE], (500, {})
    try:
        server = serve(env=KEYED | sns.env)
        message = sns.message(json.dumps(s3_event("temp/a.jpg")))
        assert push(server, message).status_code == 503
        sns.pages[sns.CERTIFICATE] = certificate
        wait_for("the certificate", lambda: push(server, message).status_code == 200, 12)
    finally:
        sns.stop()


def test_no_certificate_is_fetched_twice_that_is_not_there(serve, tmp_path):
    sns = Sns(tmp_path / "sns")
    try:
        server = serve(env=KEYED | sns.env)
        message = sns.message(json.dumps(s3_event("temp/a.jpg")), SigningCertURL=sns.url + "/none.pem")
        assert {push(server, message).status_code for _ in range(10)} == {503}
        assert len(sns.asked) == 1, sns.asked
    finally:
        sns.stop()


def test_other_regions_than_the_topics_are_not_asked(serve):
    """Amazon's own names, as far as they go: none of these is looked up."""
    server = serve(env=KEYED | {"TINTYPE_EVENTS__SNS_TOPICS": Sns.TOPIC})
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    message = {"Type": "Notification", "MessageId": "m", "TopicArn": Sns.TOPIC, "Message": "{}", "Timestamp": at,
               "SignatureVersion": "2", "Signature": "AAAA"}
    for n in range(30):
        url = f"https://sns.xx-invented-{n}.amazonaws.com/SimpleNotificationService-{n:032x}.pem"
        answer = push(server, message | {"SigningCertURL": url})
        assert answer.status_code == 401 and "SigningCertURL" in answer.json()["detail"], answer.text


class From(requests.adapters.HTTPAdapter):
    """From an address of this machine's."""

    def __init__(self, source: str):
        self.source = source
        super().__init__()

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, source_address=(self.source, 0), **kwargs)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_one_credential_is_sent_by_few_at_once(keyed, method):
    server = keyed()
    created = server.create(filename="a.jpg", method=method)
    presign, photo = created["presign"], corpus.good()["baseline.jpg"]
    if method == "POST":
        whole = form(presign, photo)
    else:
        lines = "".join(f"{name}: {value}\r\n" for name, value in presign["headers"].items())
        path = presign["url"].removeprefix(server.store)
        whole = f"PUT {path} HTTP/1.1\r\nHost: {server.store[7:]}\r\n{lines}Content-Length: {len(photo)}\r\n\r\n".encode() + photo
    closing = whole.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    with held([connect(server.store) for _ in range(8)]) as wires:
        [wire.sendall(whole[:-100]) for wire in wires]
        time.sleep(0.5)
        answer = ask(server.store, closing, timeout=10)
        assert status(answer) == 503 and b"<Code>SlowDown</Code>" in answer and b"retry-after: 5" in answer.lower()
        other = server.create(filename="a.jpg")
        assert boto3_style(other["presign"], photo).status == 204, "another's is another's"
    wait_for("a place", lambda: status(ask(server.store, closing, timeout=10)) in (200, 204), 10)
