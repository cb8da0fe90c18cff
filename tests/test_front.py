"""The network's edge: peers that are slow, many, or talk nonsense; which of them are cut off, and what they are told."""
import json
import resource
import socket
import statistics
import threading
import time

import pytest
import requests

import corpus
from support import tintype
from support.peer import ask, connect, hear, status, trickle
from support.process import wait_for
from support.upload import boto3_style, with_fields
from test_hostile import form

PHOTO = corpus.good()["baseline.jpg"]
LARGE = corpus.save(corpus.photo(1600, 1200, 7), "PNG")
HASTE = {"TINTYPE_SERVER__HEADER_TIMEOUT": "1s", "TINTYPE_SERVER__KEEP_ALIVE": "1500ms",
         "TINTYPE_SERVER__STALL_TIMEOUT": "1s", "TINTYPE_SERVER__MIN_RATE": "1000"}
SECURE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory, receiver):
    """A server with little patience."""
    server = tintype.Server(tmp_path_factory.mktemp("hasty"), receiver, env=HASTE)
    yield server
    server.stop()


def both(server) -> dict[str, str]:
    return {"API": server.url, "store": server.store}


def head(path: str = "/", **headers) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{''.join(lines)}\r\n".encode()


# --- time ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("where", ["API", "store"])
def test_slow_head_is_cut_off(hasty, where):
    with connect(both(hasty)[where]) as wire:
        answer, after = trickle(wire, b"GET / HTTP/1.1\r\nX: " + b"x" * 1000, 1, 0.1)
    assert answer == b"" and 0.8 < after < 3
    with connect(both(hasty)[where]) as wire:
        started = time.monotonic()
        assert hear(wire) == b"" and 0.8 < time.monotonic() - started < 3, "one that says nothing"


@pytest.mark.parametrize("where", ["API", "store"])
def test_idle_connection_is_closed_and_a_used_one_is_not(hasty, where):
    with connect(both(hasty)[where]) as wire:
        for _ in range(4):
            wire.sendall(head("/healthz"))
            assert status(hear(wire, b"\r\n\r\n")) > 0
            time.sleep(0.6)
        started = time.monotonic()
        hear(wire)
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("size", [0, 1, 100])
def test_slow_body_is_cut_off(hasty, size):
    request = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    with connect(hasty.url) as wire:
        wire.sendall(request)
        answer, after = trickle(wire, b" " * 100000, size or 100000, 0.2) if size else (hear(wire), 1)
    assert status(answer) == 408 and json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "request_timeout"
    assert after < 4 and b"connection: close" in answer.lower()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_slow_upload_is_cut_off_and_leaves_nothing(hasty, method):
    created = hasty.create(filename="a.jpg", method=method)
    presign = created["presign"]
    if method == "POST":
        request = form(presign, LARGE)
    else:
        path = presign["url"].removeprefix(hasty.store)
        headers = "".join(f"{name}: {value}\r\n" for name, value in presign["headers"].items())
        request = f"PUT {path} HTTP/1.1\r\nHost: {hasty.store[7:]}\r\n{headers}Content-Length: {len(LARGE)}\r\n\r\n".encode() + LARGE
    before = set((hasty.home / "data/store/blobs").rglob("*"))
    with connect(hasty.store) as wire:
        wire.sendall(request[:30_000])
        answer, after = trickle(wire, request[30_000:], 10, 0.2)
    assert status(answer) == 400 and b"<Code>RequestTimeout</Code>" in answer, answer
    assert after < 5 and hasty.status(created["id"])["status"] == "pending"
    left = [path for path in set((hasty.home / "data/store/blobs").rglob("*")) - before if path.is_file()]
    assert left == []


def test_slow_upload_that_keeps_the_rate_is_taken(hasty):
    created = hasty.create(filename="a.jpg")
    request = form(created["presign"], corpus.save(corpus.photo(90, 60, 3), "JPEG"))
    with connect(hasty.store) as wire:
        answer, after = trickle(wire, request, len(request) // 8, 0.4)
    assert status(answer) == 204 and after > 2.5
    assert hasty.finish(created["id"])["status"] == "completed"


def test_slow_reader_is_cut_off(hasty):
    body = bytes(8 << 20)
    hasty.at.s3.put_object(Bucket="tintype", Key="image/large.bin", Body=body)
    request = head("/tintype/image/large.bin")
    with connect(hasty.store, receive=4096) as wire:
        wire.sendall(request)
        time.sleep(3)
        assert len(hear(wire)) < len(body)
    with connect(hasty.store, receive=4096) as wire:
        wire.sendall(request)
        heard, started = 0, time.monotonic()
        while time.monotonic() - started < 4 and (chunk := wire.recv(2000)):
            heard += len(chunk)
            time.sleep(0.05)
        assert len(chunk) and heard > 40_000, "40 KB a second is slow, not too slow"


def test_who_waits_for_an_upload_is_not_slow(hasty):
    created = hasty.create(filename="a.jpg")
    events = requests.get(created["events_url"], stream=True, timeout=30)
    lines = events.iter_lines(decode_unicode=True)
    assert next(lines).startswith("event") and "pending" in next(lines)
    started = time.monotonic()
    assert hasty.status(created["id"], wait=4)["status"] == "pending"
    assert time.monotonic() - started > 3.8
    assert boto3_style(created["presign"], PHOTO).status == 204
    assert any("completed" in line for line in lines)


# --- size ------------------------------------------------------------------------------------------

HEADS = {
    "long address": (head("/" + "x" * 9000), 414, "uri_too_long", "RequestHeaderSectionTooLarge"),
    "long query": (head("/?" + "x" * 9000), 414, "uri_too_long", "RequestHeaderSectionTooLarge"),
    "large header": (head(X=("x" * 33_000)), 431, "headers_too_large", "RequestHeaderSectionTooLarge"),
    "many headers": (head(**{f"X{n}": "x" for n in range(120)}), 431, "headers_too_large", "RequestHeaderSectionTooLarge"),
    "larger header": (head(X="x" * 100_000), 431, None, None),
    "endless header": (b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, 431, None, None),
    "too many headers": (head(**{f"X{n}": "x" for n in range(1000)}), 431, None, None),
    "longest address": (head("/" + "x" * 70_000), 431, None, None),
    "garbage": (b"\x00\xff\x13garbage\r\n\r\n", 400, None, None),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300) + b"\r\n", 400, None, None),
}


@pytest.mark.parametrize("where", ["API", "store"])
@pytest.mark.parametrize("name", HEADS)
def test_head_that_is_too_much_is_refused(hasty, name, where):
    request, expected, of_api, of_store = HEADS[name]
    answer = ask(both(hasty)[where], request)
    assert status(answer) == expected, answer[:200]
    body = answer.partition(b"\r\n\r\n")[2]
    if of_api:
        assert (json.loads(body)["code"] == of_api) if where == "API" else (f"<Code>{of_store}</Code>".encode() in body)
        assert all(f"{name}: {value}".encode() in answer.lower() for name, value in SECURE.items())


def test_garbage_after_a_request_does_not_spoil_its_answer(hasty):
    answer = ask(hasty.url, head("/healthz") + b"\x00garbage\r\n\r\n")
    assert status(answer) == 200 and answer.count(b"HTTP/1.1 ") == 2 and b"HTTP/1.1 400" in answer
    two = ask(hasty.url, head("/healthz") + head("/healthz", Connection="close"))
    assert two.count(b"HTTP/1.1 200") == 2


def test_answer_reaches_who_sends_too_much(hasty):
    """Closed at once with bytes unread, TCP would take the answer back."""
    for _ in range(5):
        answer = hasty.call("POST", "/v1/uploads", data=b" " * (30 << 20), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


FIELD = 'Content-Disposition: form-data; name="{}"'
FORMS = {
    "long boundary": ("b" * 71, [(FIELD.format("key"), "temp/a")], "MalformedPOSTRequest"),
    "many fields": ("b", [(FIELD.format(f"x{n}"), "x") for n in range(101)], "MaxPostPreDataLengthExceeded"),
    "large fields": ("b", [(FIELD.format("x"), "x" * 21_000)], "MaxPostPreDataLengthExceeded"),
    "large part headers": ("b", [(FIELD.format("x") + "\r\nX-Much: " + "x" * 5000, "x")], "MaxPostPreDataLengthExceeded"),
    "many part headers": ("b", [(FIELD.format("x") + "".join(f"\r\nX{n}: x" for n in range(40)), "x")], "MalformedPOSTRequest"),
    "no fields": ("b", [], "InvalidArgument"),
}


@pytest.mark.parametrize("name", FORMS)
def test_form_that_is_too_much_is_refused(hasty, name):
    boundary, parts, code = FORMS[name]
    body = "".join(f"--{boundary}\r\n{headers}\r\n\r\n{value}\r\n" for headers, value in parts) + f"--{boundary}--\r\n"
    answer = requests.post(f"{hasty.store}/tintype", data=body, timeout=30,
                           headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert answer.status_code == 400 and f"<Code>{code}</Code>" in answer.text, answer.text


def test_metadata_of_a_put_is_bounded(hasty):
    with pytest.raises(hasty.at.s3.exceptions.ClientError, match="MetadataTooLarge"):
        hasty.at.s3.put_object(Bucket="tintype", Key="temp/x", Body=b"x", Metadata={"a": "x" * 2100})


# --- number ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("where", ["API", "store"])
def test_more_connections_than_may_are_told_so(serve, where):
    server = serve(env={"TINTYPE_SERVER__MAX_CONNECTIONS": "40", "TINTYPE_SERVER__KEEP_ALIVE": "30s"})
    url = both(server)[where]
    time.sleep(0.3)  # until the connection that waited for it to be ready is gone
    busy, begun = [connect(url) for _ in range(40)], {
        "API": b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        "store": b"POST /tintype HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9\r\n\r\n-"}
    [wire.sendall(begun[where]) for wire in busy]
    time.sleep(0.5)
    answers = [ask(url, head()) for _ in range(3)]
    assert [status(answer) for answer in answers] == [503] * 3 and b"retry-after: 5" in answers[0]
    assert (b"too_many_connections" if where == "API" else b"<Code>SlowDown</Code>") in answers[0]
    flood = [connect(url) for _ in range(300)]
    time.sleep(0.5)
    other = both(server)["store" if where == "API" else "API"]
    assert status(ask(other, head(Connection="close"))) > 0 and status(ask(other, head(Connection="close"))) != 503
    [wire.close() for wire in busy + flood]
    wait_for("a place", lambda: status(ask(url, head("/healthz", Connection="close"))) in (200, 403), 5)
    assert server.daemon.log.read_text().count("turns connections away") in (1, 2)


def test_connections_of_one_address_are_bounded(serve):
    server = serve(env={"TINTYPE_SERVER__MAX_CONNECTIONS_PER_ADDRESS": "5"})
    idle = [connect(server.url, source="127.0.0.2") for _ in range(5)]
    assert status(ask(server.url, head(), source="127.0.0.2")) == 503
    assert status(ask(server.url, head("/healthz", Connection="close"), source="127.0.0.3")) == 200
    idle.pop().close()
    again = head("/healthz", Connection="close")
    wait_for("a place", lambda: status(ask(server.url, again, source="127.0.0.2")) == 200, 5)


def test_ten_thousand_idle_connections_cost_little(serve, say):
    most, soft = 10_000, resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft[1], soft[1]))
    if soft[1] < most + 1000:
        most = soft[1] - 1000
    server = serve(env={"TINTYPE_SERVER__MAX_CONNECTIONS": str(most + 10), "TINTYPE_SERVER__HEADER_TIMEOUT": "8s"})
    before = server.daemon.peak_rss()
    idle, started = [], time.monotonic()
    try:
        for _ in range(most):
            idle.append(connect(server.url))
        opened = time.monotonic() - started
        times = []
        for _ in range(20):
            started = time.monotonic()
            assert status(ask(server.url, head("/healthz", Connection="close"))) == 200
            times.append(time.monotonic() - started)
        more = (server.daemon.peak_rss() - before) / 2**20
        say(f"{most} idle connections in {opened:.1f} s: {more:.0f} MiB more, answers in {statistics.median(times) * 1000:.1f} ms")
        assert statistics.median(times) < 0.2 and more < 200
        idle[-1].settimeout(15)
        assert idle[-1].recv(1) == b"", "they are closed in the end"
    finally:
        [wire.close() for wire in idle]
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)


def test_no_more_files_is_no_busy_loop(serve):
    server = serve()
    used = len(list((server.home / f"/proc/{server.daemon.pid}/fd").iterdir()))
    hard = resource.prlimit(server.daemon.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.daemon.pid, resource.RLIMIT_NOFILE, (used + 20, hard))

    def cpu() -> float:
        fields = open(f"/proc/{server.daemon.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    idle = [connect(server.url) for _ in range(60)]
    time.sleep(0.5)
    before = cpu()
    time.sleep(2)
    spent = cpu() - before
    assert spent < 0.5, f"{spent} s of CPU in 2 s"
    assert server.daemon.log.read_text().count("cannot take connections") == 1
    [wire.close() for wire in idle]
    wait_for("answers", lambda: status(ask(server.url, head("/healthz", Connection="close"), timeout=2)) == 200, 10)


def test_a_hundred_slow_clients_do_not_slow_a_good_one(hasty, say):
    """A third send heads, a third bodies, a third read, all as slowly as they may; new ones come for those cut off."""
    hasty.at.s3.put_object(Bucket="tintype", Key="image/slow.bin", Body=bytes(4 << 20))
    body = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    stop = threading.Event()

    def slow(n: int) -> None:
        while not stop.is_set():
            try:
                with connect((hasty.url, hasty.url, hasty.store)[n % 3], timeout=5, receive=4096) as wire:
                    wire.sendall((b"GET / HTTP/1.1\r\nX: ", body, head("/tintype/image/slow.bin"))[n % 3])
                    for _ in range(20):
                        stop.wait(0.2)
                        wire.sendall(b"x") if n % 3 < 2 else wire.recv(10)
            except OSError:
                pass

    def good() -> float:
        started = time.monotonic()
        created = hasty.create(filename="a.jpg")
        assert boto3_style(created["presign"], PHOTO).status == 204
        return time.monotonic() - started

    alone = statistics.median(good() for _ in range(10))
    clients = [threading.Thread(target=slow, args=(n,)) for n in range(100)]
    [client.start() for client in clients]
    time.sleep(1)
    try:
        among = statistics.median(good() for _ in range(10))
    finally:
        stop.set()
        [client.join() for client in clients]
    say(f"an upload takes {alone * 1000:.0f} ms alone, {among * 1000:.0f} ms among 100 slow clients")
    assert among < alone * 3 + 0.2


# --- the end ---------------------------------------------------------------------------------------

def test_drain_closes_who_waits_and_lets_who_sends_finish(serve):
    server = serve(backend=None)
    created = [server.create(filename="a.jpg") for _ in range(2)]
    idle = connect(server.url)
    idle.sendall(head("/healthz"))
    assert status(hear(idle, b"ok")) == 200
    polled = []
    poll = threading.Thread(target=lambda: polled.append(server.status(created[0]["id"], wait=30)))
    poll.start()
    events = requests.get(created[0]["events_url"], stream=True, timeout=30)
    request = form(created[1]["presign"], PHOTO)
    sending = connect(server.store)
    sending.sendall(request[:-1000])
    time.sleep(0.5)
    started = time.monotonic()
    server.daemon._signal(15)
    assert hear(idle) == b"" and time.monotonic() - started < 1
    assert b"pending" in events.content and time.monotonic() - started < 2
    poll.join(5)
    assert polled and polled[0]["status"] == "pending" and time.monotonic() - started < 3
    with pytest.raises(OSError):
        connect(server.url, timeout=2)
    time.sleep(0.5)
    sending.sendall(request[-1000:])
    assert status(hear(sending)) == 204
    assert server.daemon.child.wait(10) == 0
    server.start()
    assert server.finish(created[1]["id"])["status"] == "completed"


# --- pages -----------------------------------------------------------------------------------------

PAGE = "https://app.example.com"


def preflight(url: str, origin: str, method: str = "GET", headers: str = "authorization") -> requests.Response:
    return requests.options(url, timeout=30, headers={
        "Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers})


def allowed(answer: requests.Response) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


EVIL = "https://evil.example"


@pytest.mark.parametrize("keys", [True, False])
def test_any_page_sees_an_upload_whose_token_it_has_and_a_listed_one_reads(serve, keys):
    import hashlib
    digest = "sha256:" + hashlib.sha256(b"key").hexdigest()
    server = serve(env={"TINTYPE_SERVER__CORS_ORIGINS": f"{PAGE},http://localhost:3000", "TINTYPE_STORE__CORS_ORIGINS": PAGE,
                        "TINTYPE_AUTH__KEYS": digest if keys else ""})
    server.http.headers["Authorization"] = "Bearer key"
    created = server.create(filename="a.jpg")
    url = created["status_url"]
    for origin in (PAGE, EVIL, "null"):
        for method, address in (("GET", url), ("GET", created["events_url"]), ("POST", f"{url}/uploaded")):
            told = preflight(address, origin, method)
            assert (told.status_code, allowed(told)) == (200, "*") and method in told.headers["Access-Control-Allow-Methods"]
            assert "authorization" in told.headers["Access-Control-Allow-Headers"]
        seen = requests.get(url, headers={"Origin": origin, "Authorization": "Bearer " + created["token"]}, timeout=30)
        assert (seen.status_code, allowed(seen)) == (200, "*") and "Access-Control-Allow-Credentials" not in seen.headers
        streamed = requests.get(created["events_url"] + "?token=" + created["token"], headers={"Origin": origin}, stream=True, timeout=30)
        assert (streamed.status_code, allowed(streamed)) == (200, "*")
        streamed.close()
    # Without the token, or with another's, a page gets nothing but the reason.
    other = server.create(filename="b.jpg")
    for shown in ({}, {"Authorization": "Bearer " + other["token"]}, {"Authorization": "Bearer "}):
        refused = requests.get(url, headers={"Origin": EVIL} | shown, timeout=30)
        assert (refused.status_code, allowed(refused)) == (401 if keys else 403, "*")
    # All else is for named pages, to read.
    everything = f"{server.url}/v1/uploads"
    for address in (everything, f"{url}/timeline", f"{url}/retry", f"{server.url}/v1/stats", f"{server.url}/healthz"):
        assert allowed(preflight(address, PAGE)) == PAGE and allowed(preflight(address, EVIL)) is None
        assert "POST" not in preflight(address, PAGE, "POST").headers["Access-Control-Allow-Methods"]
    assert "DELETE" not in preflight(url, EVIL, "DELETE").headers["Access-Control-Allow-Methods"]
    mine = requests.get(everything, headers={"Origin": PAGE, "Authorization": "Bearer key"}, timeout=30)
    assert (mine.status_code, allowed(mine)) == (200, PAGE) and "Origin" in mine.headers["Vary"].title()
    stranger = requests.get(everything, headers={"Origin": EVIL, "Authorization": "Bearer key"}, timeout=30)
    assert allowed(stranger) is None and stranger.status_code == (200 if keys else 403)
    store = created["presign"]["url"]
    assert allowed(preflight(store, PAGE, "POST", "content-type")) == PAGE
    assert allowed(preflight(store, "https://evil.example", "POST", "content-type")) is None


def test_no_page_calls_the_api_unless_listed_and_any_page_uploads(embedded):
    created = embedded.create(filename="a.jpg")
    assert allowed(preflight(f"{embedded.url}/v1/uploads", PAGE)) is None
    assert allowed(preflight(created["presign"]["url"], PAGE, "POST", "content-type")) == "*"
    answer = requests.post(created["presign"]["url"], headers={"Origin": PAGE}, files={"x": "x"}, timeout=30)
    assert allowed(answer) == "*", "a refusal can be read too"


LOOPBACK = ["http://127.0.0.1:1", "http://localhost:3000", "http://app.localhost", "http://[::1]:5", "https://127.0.0.1:7", "http://127.0.0.2:80"]
ELSEWHERE = [EVIL, "http://localhost.evil.example", "http://192.0.2.1", "null"]


@pytest.mark.parametrize("keys", [False, True])
def test_without_keys_pages_of_this_machine_may_send_and_not_read(serve, keys):
    import hashlib
    server = serve(env={"TINTYPE_AUTH__KEYS": "sha256:" + hashlib.sha256(b"key").hexdigest()} if keys else {})
    for origin, status in [(o, 200) for o in LOOPBACK] + [(o, 403) for o in ELSEWHERE]:
        told = requests.get(f"{server.url}/v1/uploads", headers={"Origin": origin}, timeout=30)
        sent = requests.post(f"{server.url}/v1/uploads/{'0' * 32}/retry", headers={"Origin": origin}, timeout=30)
        assert told.status_code == (401 if keys else status), (origin, told.text)
        assert sent.status_code == (401 if keys else {200: 404}.get(status, status)), (origin, sent.text)
        events = requests.post(f"{server.url}/v1/events", data='{"Records": []}', headers={"Origin": origin, "Content-Type": "text/plain"}, timeout=30)
        assert events.status_code == (401 if keys else status), (origin, events.text)
        made = requests.post(f"{server.url}/v1/uploads", data="{}", headers={"Origin": origin, "Content-Type": "text/plain"}, timeout=30)
        assert made.status_code == (401 if keys else {200: 415}.get(status, status)), (origin, made.text)
        assert {allowed(answer) for answer in (told, sent, events, made)} == {None}
        # What is no simple request is asked for first, and is refused by the browser.
        assert allowed(preflight(f"{server.url}/v1/uploads", origin, "POST", "content-type")) is None


def test_any_page_is_let_in_by_keys_alone(serve):
    server = serve(env={"TINTYPE_SERVER__CORS_ORIGINS": "*"})
    created = server.create(filename="a.jpg")
    assert server.call("GET", f"/v1/uploads/{created['id']}", headers={"Origin": PAGE}).status_code == 403
    assert server.call("GET", "/v1/uploads", headers={"Origin": PAGE}).status_code == 403


@pytest.mark.parametrize("value, problem", [("app.example.com", "list of origins"), ("https://app.example.com/page", "list of origins"), (f"*,{PAGE}", "list of origins")])
def test_origins_are_checked(tmp_path, value, problem):
    done = tintype.run("serve", cwd=tmp_path, env={"TINTYPE_SERVER__CORS_ORIGINS": value})
    assert done.returncode != 0 and "server.cors_origins" in done.stderr and problem in done.stderr


def test_every_answer_has_headers_for_browsers(embedded):
    created = embedded.create(filename="a.jpg")
    api = {**SECURE, "content-security-policy": "default-src 'none'; frame-ancestors 'none'", "x-frame-options": "DENY",
           "cache-control": "no-store", "cross-origin-resource-policy": "same-origin"}
    for path in ("/", "/healthz", "/readyz", f"/v1/uploads/{created['id']}", "/nonsense", "/v1/uploads?limit=x"):
        answer = embedded.call("GET", path)
        seen = "cross-origin" if created["id"] in path else "same-origin"  # a page that may not read it may know that it is there
        assert {name: answer.headers.get(name) for name in api} == api | {"cross-origin-resource-policy": seen}, path
        assert "strict-transport-security" not in answer.headers
    assert boto3_style(created["presign"], PHOTO).status == 204
    image = requests.get(embedded.finish(created["id"])["manifest"]["variants"][0]["url"], timeout=30)
    assert image.headers["content-security-policy"].startswith("default-src 'none'") and "sandbox" in image.headers["content-security-policy"]
    assert image.headers["cross-origin-resource-policy"] == "cross-origin" and "cache-control" not in image.headers
    assert {name: image.headers.get(name) for name in SECURE} == SECURE


# --- how much may be asked for ---------------------------------------------------------------------

def test_quota_is_each_keys_own_and_its_pause_is_enough(serve):
    import hashlib
    digests = ",".join("sha256:" + hashlib.sha256(key).hexdigest() for key in (b"one", b"two"))
    server = serve(env={"TINTYPE_LIMITS__UPLOADS_PER_MINUTE": "60", "TINTYPE_AUTH__KEYS": digests})
    ask_as = lambda key, body: server.call("POST", "/v1/uploads", json=body, headers={"Authorization": f"Bearer {key}"})
    assert ask_as("one", [{}] * 59).status_code == 201
    assert ask_as("none", {}).status_code == 401
    assert server.call("POST", "/async_image_upload/presignedurl/", json={}, headers={"Authorization": "Bearer one"}).status_code == 201
    refused = ask_as("one", [{}] * 2)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert refused.headers["Content-Type"] == "application/problem+json"
    pause = int(refused.headers["Retry-After"])
    assert 1 <= pause <= 3
    assert ask_as("two", {}).status_code == 201, "another key's quota is its own"
    time.sleep(pause)
    assert ask_as("one", [{}] * 2).status_code == 201
    assert server.call("GET", "/v1/uploads", headers={"Authorization": "Bearer one"}).status_code == 200


def test_quota_without_keys_is_the_addresss(serve):
    server = serve(env={"TINTYPE_LIMITS__UPLOADS_PER_MINUTE": "2"})
    assert [server.call("POST", "/v1/uploads", json={}).status_code for _ in range(3)] == [201, 201, 429]
    request = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    assert status(ask(server.url, request, source="127.0.0.2")) == 201


def test_full_queue_refuses_new_uploads_and_loses_none(serve):
    server = serve(env={"TINTYPE_LIMITS__MAX_QUEUE": "2", "TINTYPE_SERVER__WORKERS": "1"}, start=False)
    (server.home / "tintype.toml").write_text("""
        [presets.slow]
        variants = [{ name = "large", width = 900, format = "avif" }]""")
    server.start()
    photo = corpus.save(corpus.photo(1200, 800, 42), "JPEG")
    created = [server.create(filename="a.jpg", preset="slow") for _ in range(9)]
    assert all(boto3_style(upload["presign"], photo).status == 204 for upload in created)
    time.sleep(1.1)  # the queue's depth is looked at once a second
    for path in ("/v1/uploads", "/async_image_upload/presignedurl/"):
        refused = server.call("POST", path, json={})
        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full") and int(refused.headers["Retry-After"]) > 0
    assert {server.finish(upload["id"])["status"] for upload in created} == {"completed"}
    wait_for("room in the queue", lambda: server.call("POST", "/v1/uploads", json={}).status_code == 201, 5)


def test_answer_to_a_body_that_nobody_read_ends_the_connection(embedded):
    """What was read leaves the connection to the next request."""
    head = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    unread = ask(embedded.url, head.format("/v1/nothing").encode())
    assert status(unread) == 404 and b"connection: close" in unread.lower()
    session = requests.Session()
    answers = [session.post(embedded.url + "/v1/uploads", json={}, timeout=9) for _ in range(2)]
    assert all(answer.status_code == 201 and "Connection" not in answer.headers for answer in answers)
