"""The program under test: `tintype serve` as a server, every other command as a call."""
import json
import os
import subprocess
from pathlib import Path
from urllib.parse import quote_plus

import requests

from . import s3
from .process import REPO, Daemon, free_port, wait_for
from .receiver import SECRET, Receiver

BINARY = Path(os.environ.get("BIN_UNDER_TEST", REPO / "target/release/tintype")).resolve()
# The account the embedded store believes; without the file, it makes up one of its own.
ACCOUNT = f"[default]\naws_access_key_id = {s3.ACCESS_KEY}\naws_secret_access_key = {s3.SECRET_KEY}\n"
FINAL = ("completed", "failed", "expired")


def run(*args, env: dict | None = None, cwd: Path | None = None, timeout: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=timeout,
                          env={**os.environ, **(env or {})})


def process(out: Path, *paths, env: dict | None = None, timeout: float = 300) -> tuple[int, list[dict], str]:
    """`tintype process --json`: exit status, the lines of stdout, stderr."""
    done = run("process", "--out", out, "--json", *paths, env=env, timeout=timeout)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


class Server:
    """`tintype serve` on free ports, its state in `home`; or `work`, which has no ports. Started again it keeps both."""

    def __init__(self, home: Path, receiver: Receiver | None = None, env: dict | None = None, args: tuple = (),
                 ready: str = "/readyz", start: bool = True, command: str = "serve", binary: Path = BINARY):
        self.home, self.ready, self.args, self.command, self.binary = Path(home), ready, args, command, binary
        (self.home / "data").mkdir(parents=True, exist_ok=True)
        (self.home / "data/store-credentials").write_text(ACCOUNT)
        self.port, self.store_port = free_port(), free_port()
        self.url, self.store = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.store_port}"
        self.at = s3.Store("embedded", self.store, "tintype", notifies=True)
        self.env = dict(env or {})
        if receiver:
            self.env = {"TINTYPE_CALLBACK__URL": receiver.url + "/callback/{id}",
                        "TINTYPE_CALLBACK__SECRET": SECRET} | self.env
        self.http = requests.Session()
        self.http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
        self.daemon: Daemon | None = None
        if start:
            self.start()

    def start(self) -> "Server":
        self.spawn().wait_ready(self.is_ready)
        return self

    def spawn(self) -> Daemon:
        """Starts it, and does not wait until it answers."""
        argv = [self.binary, self.command, *self.args]
        if self.command == "serve":
            argv += ["--listen", f"127.0.0.1:{self.port}", "--store-listen", f"127.0.0.1:{self.store_port}",
                     "--data", self.home / "data"]
        log = self.home / "tintype.log"
        self.logged = log.stat().st_size if log.exists() else 0
        self.daemon = Daemon(argv, log, self.env, self.home)
        return self.daemon

    def is_ready(self) -> bool:
        if self.command == "work":
            return " is at work: " in self.log()
        return requests.get(self.url + self.ready, timeout=2).status_code == 200

    def log(self) -> str:
        """What it wrote since it was started last."""
        with open(self.home / "tintype.log", errors="replace") as log:
            log.seek(self.logged)
            return log.read()

    def stop(self) -> int | None:
        return self.daemon.stop() if self.daemon else None

    # --- the API ---

    def call(self, method: str, path: str, **options) -> requests.Response:
        return self.http.request(method, self.url + path, timeout=60, **options)

    def create(self, **body) -> dict:
        answer = self.call("POST", "/v1/uploads", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def status(self, upload_id: str, wait: int | None = None) -> dict:
        answer = self.call("GET", f"/v1/uploads/{upload_id}" + (f"?wait={wait}" if wait else ""))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def finish(self, upload_id: str, timeout: float = 60) -> dict:
        """The upload once it came to an end, by long-polling."""
        def final():
            upload = self.status(upload_id, wait=10)
            return upload if upload["status"] in FINAL else None
        return wait_for(f"end of upload {upload_id}", final, timeout)

    def announce(self, bucket: str, *keys: str, source: str = "aws:s3") -> None:
        """Tells of objects, as AWS would."""
        answer = self.call("POST", "/v1/events", json=notification(bucket, *keys, source=source))
        assert answer.status_code in (200, 202, 204), answer.text

    def deliveries(self) -> list[dict]:
        answer = self.call("GET", "/v1/deliveries").json()
        return answer if isinstance(answer, list) else answer.get("deliveries", answer.get("items"))


def notification(bucket: str, *keys: str, source: str = "aws:s3") -> dict:
    """An S3 notification as AWS sends it: keys form-encoded, one record each."""
    return {"Records": [{
        "eventVersion": "2.1", "eventSource": source, "awsRegion": "us-east-1",
        "eventTime": "2026-01-02T03:04:05.678Z", "eventName": "ObjectCreated:Post",
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "tintype", "bucket": {"name": bucket},
               "object": {"key": quote_plus(key, safe="/") if source == "aws:s3" else key, "sequencer": f"{n:016X}"}},
    } for n, key in enumerate(keys)]}
