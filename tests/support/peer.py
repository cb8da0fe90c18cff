"""A peer that sends and reads bytes as it likes: sockets, not a client library."""
import socket
import ssl
import time
from urllib.parse import urlsplit


def connect(url: str, timeout: float = 30, receive: int | None = None, source: str | None = None,
            tls: ssl.SSLContext | None = None) -> socket.socket:
    """A connection to a server; with `receive`, one whose kernel takes no more than about that."""
    at = urlsplit(url)
    wire = socket.socket()
    wire.settimeout(timeout)
    if receive:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    if source:
        wire.bind((source, 0))
    wire.connect((at.hostname, at.port))
    return tls.wrap_socket(wire, server_hostname=at.hostname) if tls else wire


def hear(wire: socket.socket, enough: bytes | None = None) -> bytes:
    """All that comes, to the end or to a text."""
    heard = b""
    try:
        while not (enough and enough in heard) and (chunk := wire.recv(65536)):
            heard += chunk
    except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
        pass
    return heard


def ask(url: str, request: bytes, **options) -> bytes:
    """One request as it is, and the answer to the end of the connection."""
    with connect(url, **options) as wire:
        try:
            wire.sendall(request)
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused before all was sent: the answer is there all the same
        return hear(wire)


def trickle(wire: socket.socket, data: bytes, size: int, every: float, most: float = 20) -> tuple[bytes, float]:
    """Sends so many bytes now and then until all is sent or the server has enough: its answer, and after what time."""
    started = time.monotonic()
    wire.settimeout(every)
    answer, at = b"", 0
    while time.monotonic() - started < most:
        try:
            if at < len(data):
                wire.sendall(data[at:at + size])
                at += size
            chunk = wire.recv(65536)
            answer += chunk
            if not chunk:
                break
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            break
    return answer, time.monotonic() - started


def status(answer: bytes) -> int:
    """Of an answer as it came over the wire; 0 for none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0
