"""Floods by strangers, one after another, each against a `tintype serve` of its own with an API key, on loopback: what each does
to memory, to places, and to two backends that ask for an upload five times a second meanwhile: one opens a connection for each call,
the other keeps one. `bench/strangers --help` tells the rest. Every flood is bounded in connections and in time, and ends by itself."""
import argparse
import asyncio
import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import re
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import corpus
import requests
from support.tintype import BINARY, Server

PAGE = Path(__file__).resolve().parents[1] / "docs" / "limits.md"
KEY, OTHER = "a-backends-key", "another-key"
MIB = 1 << 20
RAMP = 2  # seconds in which a flood's connections come
EVERY = 0.2  # seconds between two calls of the backend
WANTED_SECONDS, WANTED_MIB = 2, 150
JSON = "Content-Type: application/json\r\n"


@dataclass
class Target:
    """What a flood is let loose on."""
    api: int
    store: int
    uploads: list[dict]
    image: str  # a large public object
    small: str  # and a small one
    photo: bytes

    def form(self, length: int, boundary: str = "b") -> bytes:
        return (f"POST /tintype HTTP/1.1\r\nHost: 127.0.0.1:{self.store}\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n"
                f"Content-Length: {length}\r\n\r\n").encode()

    def stream(self, n: int, wait: str = "/events?") -> bytes:
        upload = self.uploads[n % len(self.uploads)]
        return get(f"/v1/uploads/{upload['id']}{wait}token={upload['token']}")


def get(path: str, *lines: str) -> bytes:
    return (f"GET {path} HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


def post(path: str, length: int, *lines: str) -> bytes:
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {length}\r\n" +
            "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


def key(of: str = KEY) -> str:
    return f"Authorization: Bearer {of}"


# --- how a stranger behaves ------------------------------------------------------------------------

async def connect(port: int, n: int, addresses: int, **options):
    """Of one of so many addresses; 127.0.0.1 is not among them."""
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.0.{2 + n % addresses}", 0), **options)


async def trickle(port: int, n: int, first: bytes, addresses: int = 1, rest: bytes = b" ", every: float = 1) -> None:
    """Sends the first bytes at once and the others a byte at a time, for as long as it is let."""
    _, wire = await connect(port, n, addresses)
    wire.write(first)
    while True:
        await wire.drain()
        await asyncio.sleep(every)
        wire.write(rest[:1])


async def storm(port: int, n: int, request: bytes, addresses: int = 1, closes: bool = False) -> None:
    """The same request again and again, each answer read, on connections that are kept while they may."""
    while True:
        reader, wire = await connect(port, n, addresses)
        try:
            while True:
                wire.write(request)
                await wire.drain()
                if not await asyncio.wait_for(reader.read(65536), 10) or closes:
                    break
        finally:
            wire.close()


async def once(port: int, n: int, request: bytes, addresses: int = 1) -> None:
    """One request, whose answer is awaited to its end."""
    reader, wire = await connect(port, n, addresses)
    wire.write(request)
    while await reader.read(65536):
        pass
    wire.close()
    await asyncio.sleep(1)


async def read_slowly(port: int, n: int, request: bytes, addresses: int = 1) -> None:
    """Asks, and reads next to nothing of what comes."""
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        wire.setblocking(False)
        wire.bind((f"127.0.0.{2 + n % addresses}", 0))
        loop = asyncio.get_running_loop()
        await loop.sock_connect(wire, ("127.0.0.1", port))
        await loop.sock_sendall(wire, request)
        while await loop.sock_recv(wire, 10):
            await asyncio.sleep(1)


@functools.cache  # making one reads all certificates of the machine
def anyone() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def read_slowly_by_tls(port: int, n: int, request: bytes, addresses: int = 1) -> None:
    """The same by TLS."""
    reader, wire = await connect(port, n, addresses, ssl=anyone(), limit=1024)
    wire.transport.set_read_buffer_limits(high=2048)  # as it comes, asyncio reads 256 KiB ahead
    try:
        wire.write(request)
        while await reader.read(10):
            await asyncio.sleep(1)
    finally:
        wire.transport.abort()


async def churn(port: int, n: int, **options) -> None:
    """Connections that are closed as soon as they are there."""
    while True:
        _, wire = await connect(port, n, 1, **options)
        wire.close()


Flood = Callable[[Target, int], Awaitable[None]]
SLOW = b" " * (3 * MIB)


@dataclass
class Case:
    name: str
    connections: int
    one: Flood
    tls: bool = False


def long_form(at: Target, n: int) -> bytes:
    return at.form(10 * MIB) + b'--b\r\nContent-Disposition: form-data; name="key"' + b"x" * (480 << 10)


def replay(at: Target, n: int) -> bytes:
    """The first upload's form, with bytes of its own."""
    presign = at.uploads[0]["presign"]
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in presign["fields"].items()]
    data = at.photo + str(n).encode()
    body = b"".join([*parts, b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n', data, b"\r\n--b--\r\n"])
    return at.form(len(body)) + body


def wrong_put(at: Target, *lines: str, signed: str = "host") -> bytes:
    """A small file, signed by nobody who may."""
    at_time = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    who = f"AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/{at_time[:8]}/us-east-1/s3/aws4_request, SignedHeaders={signed}, Signature={'0' * 64}"
    lines = "".join(f"{line}\r\n" for line in (f"Authorization: {who}", f"x-amz-date: {at_time}", *lines))
    return (f"PUT /tintype/temp/x.jpg HTTP/1.1\r\nHost: 127.0.0.1:{at.store}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
            f"{lines}Content-Length: 3\r\n\r\nabc").encode()


def wrong_form(at: Target) -> bytes:
    """A form whose policy is long, and signed by nobody."""
    fields = {"key": "temp/x.jpg", "policy": "e" * 15_000, "x-amz-signature": "0" * 64, "x-amz-algorithm": "AWS4-HMAC-SHA256",
              "x-amz-credential": "AKIAEXAMPLE/20260101/us-east-1/s3/aws4_request", "x-amz-date": "20260101T000000Z",
              **{f"x-amz-meta-{n}": "x" for n in range(80)}, "file": "abc"}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    body = "".join([*parts, "--b--\r\n"]).encode()
    return at.form(len(body)) + body


def slow_put(at: Target, n: int) -> bytes:
    presign = at.uploads[-1]["presign"]
    url = urlsplit(presign["url"])
    lines = "".join(f"{name}: {value}\r\n" for name, value in presign["headers"].items())
    return f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n{lines}Content-Length: {4 * MIB}\r\n\r\n".encode() + SLOW


MANY_VALUES = b"[" + b"0," * (2 * MIB - 2) + b"0]"
CASES = [
    Case("nobody", 0, lambda at, n: asyncio.sleep(60)),
    Case("slow heads, one address", 600, lambda at, n: trickle(at.api, n, b"GET / HTTP/1.1\r\nX: ", rest=b"x")),
    Case("slow heads, 30 addresses", 4300, lambda at, n: trickle(at.api, n, b"GET / HTTP/1.1\r\nX: ", 30, b"x")),
    Case("idle connections, 30 addresses", 4300, lambda at, n: trickle(at.api, n, get("/healthz"), 30, b"", 60)),
    Case("slow bodies, no key", 200, lambda at, n: trickle(at.api, n, post("/v1/uploads", 4 * MIB) + SLOW)),
    Case("slow bodies, with a key", 200, lambda at, n: trickle(at.api, n, post("/v1/uploads", 4 * MIB, key(OTHER)) + SLOW)),
    Case("large JSON to /v1/events, no key", 50, lambda at, n: storm(at.api, n, post("/v1/events", len(MANY_VALUES)) + MANY_VALUES)),
    Case("large JSON to /v1/events, with a key", 16,
         lambda at, n: storm(at.api, n, post("/v1/events", len(MANY_VALUES), key(OTHER)) + MANY_VALUES)),
    Case("event streams of one token, 30 addresses", 4300, lambda at, n: trickle(at.api, n, at.stream(0), 30, b"", 60)),
    Case("event streams of 200 tokens, one address", 1000, lambda at, n: trickle(at.api, n, at.stream(n), 1, b"", 60)),
    Case("event streams of 200 tokens, 30 addresses", 1600, lambda at, n: trickle(at.api, n, at.stream(n), 30, b"", 60)),
    Case("long polls of one token", 600, lambda at, n: once(at.api, n, at.stream(0, "?wait=60&"), 30)),
    Case("long polls of 200 tokens", 1200, lambda at, n: once(at.api, n, at.stream(n, "?wait=60&"), 30)),
    Case("forms without a file, never ending", 200, lambda at, n: trickle(at.store, n, long_form(at, n))),
    Case("slow PUTs under one credential", 200, lambda at, n: trickle(at.store, n, slow_put(at, n))),
    Case("replays of one credential", 60, lambda at, n: storm(at.store, n, replay(at, n))),
    Case("slow readers of a large image", 200, lambda at, n: read_slowly(at.store, n, get(at.image))),
    Case("slow readers of a large image, 30 addresses", 4300, lambda at, n: read_slowly(at.store, n, get(at.image), 30)),
    Case("slow readers of /openapi.json, 30 addresses", 4300, lambda at, n: read_slowly(at.api, n, get("/openapi.json"), 30)),
    Case("slow readers of /openapi.json by TLS, 30 addresses", 2000,
         lambda at, n: read_slowly_by_tls(at.api, n, get("/openapi.json"), 30), tls=True),
    Case("/openapi.json again and again, 30 addresses", 600, lambda at, n: storm(at.api, n, get("/openapi.json"), 30)),
    Case("an image again and again, 30 addresses", 600, lambda at, n: storm(at.store, n, get(at.small), 30)),
    Case("100 ranges of a large image, 30 addresses", 300, lambda at, n: storm(at.store, n, get(
        at.image, "Range: bytes=" + ",".join(f"{i}-{i + 9}" for i in range(0, 100_000, 1000))), 30)),
    Case("event streams opened and closed", 60, lambda at, n: storm(at.api, n, at.stream(n), 30, closes=True)),
    Case("lists, with a key", 30, lambda at, n: storm(at.api, n, get("/v1/uploads", key(OTHER)))),
    Case("lists, no key", 100, lambda at, n: storm(at.api, n, get("/v1/uploads"))),
    Case("wrong keys", 100, lambda at, n: storm(at.api, n, get("/v1/uploads", key(f"tt_{n}")))),
    Case("headers of 60 KB", 100, lambda at, n: storm(at.api, n, get("/", "X: " + "x" * 60_000))),
    Case("queries of 8 KB", 100, lambda at, n: storm(at.api, n, get("/v1/uploads?" + "token=x&" * 1000))),
    Case("HTTP/2", 100, lambda at, n: storm(at.api, n, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))),
    Case("PUTs that nobody signed", 300, lambda at, n: storm(at.store, n, wrong_put(at), 30)),
    Case("PUTs with 3000 signed headers", 100, lambda at, n: storm(
        at.store, n, wrong_put(at, *(f"x-{i}: x" for i in range(80)), signed=";".join(f"x-{i}" for i in range(3000))), 30)),
    Case("forms that nobody signed", 300, lambda at, n: storm(at.store, n, wrong_form(at), 30)),
    Case("lists of the store, unsigned", 100, lambda at, n: storm(at.store, n, get("/tintype?list-type=2"), 30)),
    Case("500 requests in one packet", 30, lambda at, n: storm(at.api, n, get("/healthz") * 500)),
    Case("connections opened and closed", 60, lambda at, n: churn(at.api, n)),
    Case("TLS handshakes that stall, 30 addresses", 4300, lambda at, n: trickle(at.api, n, b"\x16\x03\x01\x02\x00", 30, b"\x01"), tls=True),
    Case("TLS handshakes again and again", 60, lambda at, n: churn(at.api, n, ssl=anyone()), tls=True),
    Case("pages", 60, lambda at, n: storm(at.api, n, get("/admin"))),
    Case("metrics, no key", 60, lambda at, n: storm(at.api, n, get("/metrics"))),
    Case("metrics, with a key", 20, lambda at, n: storm(at.api, n, get("/metrics", key(OTHER)))),
    Case("readiness", 60, lambda at, n: storm(at.api, n, get("/readyz"))),
    Case("batch deletes, unsigned", 100, lambda at, n: trickle(at.store, n, (
        f"POST /tintype?delete HTTP/1.1\r\nHost: localhost\r\nContent-MD5: x\r\nContent-Length: {4 * MIB}\r\n\r\n").encode() + SLOW)),
    Case("idempotency keys, with a key", 30, lambda at, n: storm(
        at.api, n, post("/v1/uploads", 2, key(OTHER), f"Idempotency-Key: {os.urandom(8).hex()}") + b"{}")),
]


def let_loose(case: Case, at: Target, seconds: float) -> None:
    """The flood, in a process of its own."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def stranger(n: int, until: float) -> None:
        await asyncio.sleep(RAMP * n / max(case.connections, 1))
        while time.monotonic() < until:
            with contextlib.suppress(OSError, asyncio.TimeoutError, ValueError):
                await case.one(at, n)
            await asyncio.sleep(0.5)  # cut off, it tries again, but is no storm

    async def all_of_them() -> None:
        until = time.monotonic() + seconds
        tasks = [asyncio.create_task(stranger(n, until)) for n in range(case.connections)]
        await asyncio.sleep(seconds)
        [task.cancel() for task in tasks]

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(all_of_them())
    os._exit(0)


# --- what is measured ------------------------------------------------------------------------------

def resident(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0


def sockets(*ports: int) -> tuple[int, float]:
    """Connections that these ports have taken, and MiB that the kernel holds of them: they are no part of what is resident."""
    ends = " or ".join(f"sport = :{port}" for port in ports)
    listed = subprocess.run(["ss", "-tnmH", "state", "established", f"( {ends} )"], check=True, capture_output=True, text=True).stdout
    held = [sum(map(int, found)) for found in re.findall(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+)", listed)]
    return len(held), sum(held) / MIB


@dataclass
class Seen:
    """While a flood lasts."""
    calls: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    seats: list[int] = field(default_factory=list)


def ask(server: Server, seen: Seen, scheme: str, kept: requests.Session | None = None, patience: float = 30) -> None:
    """One call of a backend, on a connection of its own or on the one that is kept."""
    began = time.monotonic()
    try:
        headers = {"Authorization": f"Bearer {KEY}"} | ({} if kept else {"Connection": "close"})
        answer = (kept or requests).post(f"{scheme}://127.0.0.1:{server.port}/v1/uploads", json={}, timeout=patience, verify=False,
                                         headers=headers)
        if answer.status_code != 201:
            seen.failures.append(str(answer.status_code))
    except requests.RequestException as error:
        seen.failures.append(type(error).__name__)
    (seen.kept if kept else seen.calls).append(time.monotonic() - began)


def keep_asking(server: Server, seen: Seen, scheme: str, until: float) -> None:
    with requests.Session() as kept:
        while time.monotonic() < until:
            ask(server, seen, scheme, kept)
            time.sleep(EVERY)


def look(server: Server, seen: Seen, until: float) -> None:
    """Memory and places. To list thousands of sockets takes a while, so it is no part of the backends' rhythm."""
    while time.monotonic() < until:
        taken, held = sockets(server.port, server.store_port)
        seen.seats.append(taken)
        seen.memory.append(resident(server.daemon.pid) + held)
        time.sleep(EVERY)


@dataclass
class Row:
    name: str
    connections: int
    before: float
    most: float
    after: float
    seats: int
    p50: float
    worst: float
    kept: float
    calls: int
    failures: list[str]

    @property
    def good(self) -> bool:
        return not self.failures and max(self.worst, self.kept) < WANTED_SECONDS and self.most - self.before < WANTED_MIB


def run(case: Case, binary: Path, seconds: float) -> Row:
    with tempfile.TemporaryDirectory(prefix="tintype-strangers-") as home:
        scheme, env = "http", {}
        if case.tls:
            scheme, env = "https", certificate(Path(home))
        keys = ",".join("sha256:" + hashlib.sha256(text.encode()).hexdigest() for text in (KEY, OTHER))
        server = Server(Path(home), env={"TINTYPE_AUTH__KEYS": keys} | env, binary=binary, start=False)
        server.http.headers["Authorization"] = f"Bearer {KEY}"
        server.http.verify, server.http.trust_env = False, False
        server.url = f"{scheme}://127.0.0.1:{server.port}"
        server.spawn().wait_ready(lambda: requests.get(server.url + "/readyz", timeout=2, verify=False).ok)
        try:
            return measure(case, server, scheme, seconds)
        finally:
            server.stop()


def measure(case: Case, server: Server, scheme: str, seconds: float) -> Row:
    uploads = [upload for _ in range(2) for upload in server.call("POST", "/v1/uploads", json=[{"filename": "a.jpg"}] * 100).json()]
    uploads.append(server.create(filename="a.jpg", method="PUT"))
    if "image" in case.name:
        server.at.s3.put_object(Bucket="tintype", Key="image/large.bin", Body=bytes(8 * MIB))
        server.at.s3.put_object(Bucket="tintype", Key="image/small.bin", Body=bytes(4 << 10))
    at = Target(server.port, server.store_port, uploads, "/tintype/image/large.bin", "/tintype/image/small.bin",
                corpus.save(corpus.photo(90, 60, 3), "JPEG"))
    seen, pid = Seen(), server.daemon.pid
    time.sleep(1)
    before = resident(pid)
    flood = multiprocessing.get_context("fork").Process(target=let_loose, args=(case, at, seconds), daemon=True)
    flood.start()
    until = time.monotonic() + seconds
    beside = [threading.Thread(target=look, args=(server, seen, until), daemon=True),
              threading.Thread(target=keep_asking, args=(server, seen, scheme, until), daemon=True)]
    [thread.start() for thread in beside]
    while time.monotonic() < until:
        call = threading.Thread(target=ask, args=(server, seen, scheme), daemon=True)
        call.start()
        beside.append(call)
        time.sleep(EVERY)
    flood.join(10)
    if flood.is_alive():
        flood.kill()
    [thread.join(40) for thread in beside]
    time.sleep(8)  # what is free is given back by then
    return Row(case.name, case.connections, before, max(seen.memory), resident(pid), max(seen.seats), statistics.median(seen.calls),
               max(seen.calls), max(seen.kept), len(seen.calls) + len(seen.kept), seen.failures)


def certificate(home: Path) -> dict[str, str]:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", home / "key.pem", "-out", home / "cert.pem",
                    "-subj", "/CN=localhost", "-days", "2"], check=True, capture_output=True)
    return {"TINTYPE_SERVER__TLS_CERT": str(home / "cert.pem"), "TINTYPE_SERVER__TLS_KEY": str(home / "key.pem"),
            "TINTYPE_STORE__TLS": "false"}


def shown(row: Row) -> list[str]:
    refused = f"{len(row.failures)} of {row.calls} ({', '.join(sorted(set(row.failures)))})" if row.failures else "none"
    return [f"{row.most - row.before:+.0f} MiB", f"{row.after - row.before:+.0f}", str(row.seats), f"{row.p50 * 1e3:.0f} ms",
            f"{row.worst:.2f} s", f"{row.kept:.2f} s", refused]


HEAD = ["most memory", "after it", "places", "backend p50", "worst", "worst, kept alive", "failed"]


def table(runs: dict[str, list[Row]]) -> str:
    """A row a flood; the builds beside each other."""
    names = list(runs)
    heads = ["flood", "connections", *(f"{head}, {name}" if len(names) > 1 else head for name in names for head in HEAD)]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for rows in zip(*runs.values()):
        cells = [rows[0].name, str(rows[0].connections), *(cell for row in rows for cell in shown(row))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/strangers", description=__doc__)
    parser.add_argument("--binary", type=Path, action="append", metavar="[NAME=]FILE", help="a build; twice for two, beside each other")
    parser.add_argument("--seconds", type=float, default=8, help="how long each flood lasts")
    parser.add_argument("--only", default="", help="floods whose name has this in it")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/limits.md as well")
    parser.add_argument("--json", type=Path, help="keep the figures of each flood there, and do not measure again those that are")
    args = parser.parse_args()
    requests.packages.urllib3.disable_warnings()
    builds = [str(build).rpartition("=") for build in args.binary or [BINARY]]
    cases = [case for case in CASES if args.only in case.name]
    kept = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    runs: dict[str, list[Row]] = {}
    for name, _, file in builds:
        name = name or "this build"
        for case in cases:
            place = f"{name}: {case.name}"
            if place not in kept:
                kept[place] = vars(run(case, Path(file).resolve(), args.seconds))
                if args.json:
                    args.json.write_text(json.dumps(kept, indent=1))
            runs.setdefault(name, []).append(row := Row(**kept[place]))
            print(f"bench: {place}: {', '.join(shown(row))}", file=sys.stderr, flush=True)
    text = table(runs)
    print(text)
    if args.docs:
        filled, places = re.subn(r"(<!-- strangers -->\n).*?(<!-- /strangers -->)", lambda m: f"{m[1]}\n{text}\n\n{m[2]}", PAGE.read_text(), flags=re.S)
        if places != 1:
            sys.exit(f"bench: {PAGE.name} has no single place for the table")
        PAGE.write_text(filled)
    return int(not all(row.good for row in list(runs.values())[-1]))


if __name__ == "__main__":
    sys.exit(main())
