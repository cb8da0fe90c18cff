"""A store that fails now and then: hands requests on as they are, but breaks those it is told to."""
import hashlib
import http.client
import inspect
import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape, unescape

DELETED = re.compile(rb"<Key>(.*?)</Key>")
FORGOTTEN = "<?xml version='1.0'?><DeleteResult><Deleted><Key>{key}</Key></Deleted></DeleteResult>"
ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
CODES = {400: "RequestTimeout", 403: "AccessDenied", 500: "InternalError", 501: "NotImplemented", 503: "SlowDown"}


class Flaky:
    """`refuse(method, key)`, or `refuse(method, key, headers)`, decides for each request; the key is below the bucket. What it gives is what happens:
    nothing (handed on), True or a status (answered with that error, nothing is done), "reset" (before it is done),
    "hang" (until `release()`, then reset), "reset after" (done, but the answer never comes), "cut" (done, and half the
    answer comes), "short" (done, and half of it comes as if it were all), a `threading.Event` (handed on once it is set,
    though the caller may be gone by then), "forget" (answered as a PUT or a DELETE that was done, and nothing is done), a number of seconds below 1 (handed on after them). It may look into
    `heard`, every request that was handed on, as (method, key)."""

    def __init__(self, endpoint: str, refuse, drop: tuple = ()):
        """`drop`: headers that it keeps to itself, in lower case. Only a store that checks no signature goes on then."""
        behind = urlsplit(endpoint)
        self.released = threading.Event()
        self.heard = []
        flaky = self
        looks_at_headers = len(inspect.signature(refuse).parameters) > 2

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def hand_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                method, key = self.command, unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]
                if method == "POST" and urlsplit(self.path).query.startswith("delete") and len(keys := DELETED.findall(body)) == 1:
                    method, key = "DELETE", unescape(keys[0].decode())  # one key by DeleteObjects, which is how object_store asks
                fault = refuse(method, key, *([self.headers] if looks_at_headers else []))
                if isinstance(fault, threading.Event):
                    fault.wait(60)
                if isinstance(fault, float):
                    time.sleep(fault)
                    fault = None
                if fault is True or isinstance(fault, int) and fault:
                    status = 503 if fault is True else fault
                    return self.answer(status, [("Content-Type", "application/xml")], ERROR.format(code=CODES[status]).encode())
                if fault == "forget":
                    done = FORGOTTEN.format(key=escape(key)).encode() if method == "DELETE" else b""
                    return self.answer(200, [("ETag", f'"{hashlib.md5(body).hexdigest()}"')], done)
                if fault == "hang":
                    flaky.released.wait()
                if fault in ("hang", "reset"):
                    return self.reset()
                # The Host header stays: it is part of the signature.
                connection = http.client.HTTPConnection(behind.hostname, behind.port, timeout=30)
                connection.request(self.command, self.path, body, {n: v for n, v in self.headers.items() if n.lower() not in drop})
                got = connection.getresponse()
                data = got.read()
                connection.close()
                flaky.heard.append((method, key))
                if fault == "short" and got.status == 200:
                    data = data[:len(data) // 2]
                if fault == "reset after":
                    return self.reset()
                kept = [(n, v) for n, v in got.getheaders() if n.lower() not in ("connection", "transfer-encoding")]
                self.answer(got.status, kept, data, cut=fault == "cut")

            def answer(self, status, headers, data, cut=False):
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() != "content-length" or self.command == "HEAD":
                        self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[:len(data) // 2] if cut else data)
                if cut:
                    self.reset()

            def reset(self):
                self.close_connection = True
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = hand_on

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

            def handle_error(self, *_):
                """Both sides may go away."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def release(self):
        self.released.set()

    def stop(self):
        self.release()
        self.server.shutdown()
        self.server.server_close()
