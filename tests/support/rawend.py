"""An endpoint that misbehaves as it is told: a socket, and what is done with each connection to it."""
import socket
import threading
import time


class RawEndpoint:
    """`serve(connection, head)` has each connection once a request's head was read; `heads` are those."""

    def __init__(self, serve):
        self.heads: list[bytes] = []
        self.open = self.most_open = 0
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._have, args=(connection,), daemon=True).start()

    def _have(self, connection: socket.socket) -> None:
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536) or b"\r\n\r\n"
            with self.lock:
                self.heads.append(head)
                self.open += 1
                self.most_open = max(self.most_open, self.open)
            self.serve(connection, head)
        except OSError:
            pass  # the other side went away, as some of these tests want it to
        finally:
            with self.lock:
                self.open -= 1
            connection.close()

    def ids(self) -> list[str]:
        """The webhook-id of each request."""
        with self.lock:
            heads = [head.decode(errors="replace") for head in self.heads]
        return [line.split(": ", 1)[1] for head in heads for line in head.split("\r\n") if line.startswith("webhook-id: ")]

    def stop(self) -> None:
        self.stopping.set()
        self.listener.close()


def black_hole() -> RawEndpoint:
    """Takes every connection, reads every request, and never answers: each is held until the other side goes."""
    def hold(connection, head):
        while connection.recv(65536):
            pass
    return RawEndpoint(hold)


def dripping(head: bytes, drops: bytes, every: float = 0.1) -> RawEndpoint:
    """Sends `head`, and then one byte of `drops` after the other, for ever."""
    def drip(connection, _):
        connection.sendall(head)
        while True:
            for drop in drops:
                connection.sendall(bytes([drop]))
                time.sleep(every)
    return RawEndpoint(drip)


class NeverConnects:
    """An address that takes no connection and refuses none: its queue is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(self.listener.getsockname())
            self.waiting.append(client)

    def stop(self) -> None:
        for client in self.waiting:
            client.close()
        self.listener.close()
