"""HTTP by hand, for what no client library would send: bytes out, the first answer back."""
import json
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree import ElementTree


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> str | None:
        """Of a problem document or of S3's XML, which must be well-formed."""
        if self.body.lstrip().startswith(b"<"):
            root = ElementTree.fromstring(self.body)
            return next((node.text for node in root.iter() if node.tag.rsplit("}")[-1] == "Code"), None)
        if self.body.lstrip().startswith(b"{"):
            return json.loads(self.body).get("code")
        return None

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def exchange(url: str, request: bytes, timeout: float = 10) -> list[Answer]:
    """All answers to the bytes, until the server closes or says nothing for a while."""
    at = urlsplit(url)
    received = b""
    with socket.create_connection((at.hostname, at.port), timeout=timeout) as wire:
        try:
            wire.sendall(request)
        except OSError:
            pass  # refused before all was sent: the answer is there all the same
        wire.settimeout(2)
        try:
            while chunk := wire.recv(65536):
                received += chunk
        except OSError:
            pass
    return list(answers(received))


def answers(received: bytes):
    while match := re.match(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n", received):
        head, _, rest = received.partition(b"\r\n\r\n")
        headers = [tuple(line.decode("latin-1").split(": ", 1)) for line in head.split(b"\r\n")[1:]]
        named = {name.lower(): value for name, value in headers}
        if named.get("transfer-encoding") == "chunked":
            body, rest = unchunked(rest)
        else:
            length = int(named.get("content-length", 0))
            body, rest = rest[:length], rest[length:]
        yield Answer(int(match[1]), headers, body)
        received = rest


def unchunked(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length:
            return body, data.partition(b"\r\n")[2]
        body, data = body + data[:length], data[length + 2:]


def request(method: str, url: str, headers: dict | list | None = None, body: bytes = b"", target: str | None = None) -> Answer:
    """One request, whatever its target and headers are, on a connection of its own."""
    at = urlsplit(url)
    target = target if target is not None else (at.path or "/") + (f"?{at.query}" if at.query else "")
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    named = {name.lower() for name, _ in pairs}
    pairs += [] if "host" in named else [("Host", at.netloc)]
    pairs += [("Content-Length", str(len(body)))] if body and not named & {"content-length", "transfer-encoding"} else []
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs), "Connection: close", "", ""]
    got = exchange(url, "\r\n".join(lines).encode("latin-1", "surrogateescape") + body)
    return got[0] if got else Answer(0, [], b"")


def multipart(parts: list[tuple[str, str, bytes]]) -> tuple[dict, bytes]:
    """A form of (name, more of its disposition, value)."""
    body = b"".join(f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode("utf-8", "surrogateescape") + value + b"\r\n"
                    for name, more, value in parts)
    return {"Content-Type": "multipart/form-data; boundary=b"}, body + b"--b--\r\n"
