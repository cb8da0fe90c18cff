"""The backend at the other end of a callback: records every request, answers as it is told."""
import json
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

from .process import free_port, wait_for

SECRET = "whsec_dGludHlwZSB0ZXN0cyBzaWduIHdpdGggdGhpcw=="
HANG = object()


@dataclass
class Received:
    method: str
    path: str
    headers: dict
    raw: bytes
    at: float
    answered: int

    @property
    def body(self) -> dict:
        return json.loads(self.raw)

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str = SECRET) -> dict:
        """The body, its signature checked by the reference library; raises where it is wrong."""
        return Webhook(secret).verify(self.raw, self.headers)

    def verify_late(self, secret: str = SECRET) -> dict:
        """The same long after it came: the library refuses what is older than five minutes."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), timezone.utc)
        signature = Webhook(secret).sign(self.webhook_id, at, self.raw.decode())
        assert signature in self.headers["webhook-signature"].split(), "the signature is wrong"
        return self.body


class Receiver:
    """`answer(path_part, 500, 200)`: the next requests whose path has `path_part` get these, later ones 200.
    An answer is a status, `(status, headers)`, or HANG."""

    def __init__(self, port: int | None = None):
        self.port = port or free_port()
        self.received: list[Received] = []
        self.script: dict[str, deque] = defaultdict(deque)
        self.lock, self.stopping = threading.Lock(), threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

            def take(self):
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = receiver._next(self.path)
                if answer is HANG:
                    receiver.stopping.wait(60)
                    self.close_connection = True
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                with receiver.lock:
                    receiver.received.append(Received(
                        self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, raw,
                        time.time(), status))
                self.send_response(status)
                for name, value in {"content-length": "0", **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()

            do_PUT = do_POST = do_GET = do_HEAD = take

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path_part: str, *answers) -> None:
        with self.lock:
            self.script[path_part].extend(answers)

    def _next(self, path: str):
        with self.lock:
            for part, answers in self.script.items():
                if part in path and answers:
                    return answers.popleft()
        return 200

    def of(self, upload_id: str, answered: int | None = None) -> list[Received]:
        with self.lock:
            return [r for r in self.received
                    if upload_id in r.path + r.raw.decode(errors="replace") and answered in (None, r.answered)]

    def wait(self, upload_id: str, timeout: float = 30) -> Received:
        """The first delivery for this upload that was answered 200."""
        return wait_for(f"callback of {upload_id}", lambda: self.of(upload_id, 200), timeout)[0]

    def stop(self) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
