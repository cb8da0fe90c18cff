"""Step 6's other end, on a bad day: it answers 500, hangs, hangs up, takes a callback and fails to say so, is down."""
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.process import free_port
from support.receiver import Received

from .plan import Plan

FATES = (("taken", 0.62), ("500", 0.15), ("later", 0.05), ("hangs", 0.04), ("hangs up", 0.07), ("taken, unsaid", 0.07))


class Backend:
    def __init__(self, plan: Plan):
        self.port, self.dice = free_port(), plan.dice("backend")
        self.taken: list[Received] = []
        self.refused = 0
        self.healed, self.lock = threading.Event(), threading.Lock()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

            def do_PUT(self):
                fate = backend.fate()
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                if len(raw) < int(self.headers.get("content-length") or 0):
                    self.close_connection = True  # the sender was killed in mid-sentence
                    return
                if fate.startswith("taken"):
                    backend.take(Received(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, raw, time.time(), 200))
                else:
                    backend.refused += 1
                if fate == "hangs":
                    backend.healed.wait(4)
                if fate in ("hangs", "hangs up", "taken, unsaid"):
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response({"500": 500, "later": 503}.get(fate, 200))
                self.send_header("content-length", "0")
                if fate == "later":
                    self.send_header("retry-after", "1")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

            def handle_error(self, *args):
                """Senders are killed."""

        self.handler, self.make = Handler, Server
        self.server: ThreadingHTTPServer | None = None
        self.up()
        threading.Thread(target=self.come_and_go, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callback/{{id}}"

    def fate(self) -> str:
        if self.healed.is_set():
            return "taken"
        with self.lock:
            return self.dice.choices([name for name, _ in FATES], [weight for _, weight in FATES])[0]

    def take(self, received: Received) -> None:
        with self.lock:
            self.taken.append(received)

    def up(self) -> None:
        self.server = self.make(("127.0.0.1", self.port), self.handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def come_and_go(self) -> None:
        while not self.healed.wait(self.dice.expovariate(1 / 15)):
            self.down()
            self.healed.wait(self.dice.uniform(0.5, 4))
            self.up()

    def heal(self) -> None:
        self.healed.set()

    def stop(self) -> None:
        self.heal()
        self.down()
