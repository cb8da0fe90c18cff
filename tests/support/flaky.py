"""A store that fails now and then: hands requests on as they are, but answers 503 where it is told to."""
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Flaky:
    """`refuse(method, key)` decides for each request; the key is below the bucket."""

    def __init__(self, endpoint: str, refuse):
        behind = urlsplit(endpoint)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def hand_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]
                if refuse(self.command, key):
                    return self.answer(503, [("Content-Type", "application/xml")], BUSY)
                # The Host header stays: it is part of the signature.
                connection = http.client.HTTPConnection(behind.hostname, behind.port, timeout=30)
                connection.request(self.command, self.path, body, dict(self.headers))
                got = connection.getresponse()
                data = got.read()
                kept = [(n, v) for n, v in got.getheaders() if n.lower() not in ("connection", "transfer-encoding")]
                self.answer(got.status, kept, data)
                connection.close()

            def answer(self, status, headers, data):
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() != "content-length" or self.command == "HEAD":
                        self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = hand_on

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
