"""Clients as they should be, among them some that vanish: what fails by no fault of theirs is tried again."""
import socket
import threading
import time
import uuid
from urllib.parse import urlsplit

import requests

from support.upload import boto3_style, by_hand

from . import pictures
from .book import Book, Entry
from .plan import Plan


def insist(call, seconds: float, dice):
    """`call()` until it is answered by other than a 5xx; None once the time is up."""
    until, pause = time.monotonic() + seconds, 0.1
    while time.monotonic() < until:
        try:
            answer = call()
            if status(answer) < 500:
                return answer
        except (OSError, requests.RequestException, ValueError):
            pass  # refused, reset, cut off, timed out
        except Exception as error:
            if "HTTP" not in type(error).__module__.upper():
                raise
        time.sleep(pause * dice.uniform(0.5, 1.5))
        pause = min(pause * 2, 2)
    return None


def status(answer) -> int:
    return answer.status if hasattr(answer, "status") else answer.status_code


class Client(threading.Thread):
    def __init__(self, number: int, plan: Plan, book: Book, cluster, announce, may_begin):
        super().__init__(name=f"client {number}", daemon=True)
        self.plan, self.book, self.cluster, self.announce, self.may_begin = plan, book, cluster, announce, may_begin
        self.dice = plan.dice(self.name)
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while self.may_begin():
                for entry, presign in self.create():
                    self.deliver(entry, presign)
        except BaseException as error:
            self.error = error

    # --- step 1 ---

    def create(self) -> list[tuple[Entry, dict]]:
        names = [pictures.choose(self.dice) for _ in range(1 if self.dice.random() < 0.8 else self.dice.randint(2, 5))]
        bodies = [self.wish(name) for name in names]
        headers = {"Idempotency-Key": str(uuid.uuid4())} if self.dice.random() < 0.75 else {}
        answer = insist(lambda: self.call("POST", "/v1/uploads", json=bodies if len(bodies) > 1 else bodies[0],
                                          headers=headers), 60, self.dice)
        if answer is None:
            return []
        if answer.status_code != 201:
            raise AssertionError(f"creation: {answer.status_code} {answer.text}")
        tickets = answer.json() if len(bodies) > 1 else [answer.json()]
        return [(self.book.add(Entry(ticket["id"], ticket["presign"]["fields"]["key"], name, body["metadata"])), ticket["presign"])
                for ticket, name, body in zip(tickets, names, bodies, strict=True)]

    def wish(self, name: str) -> dict:
        wish = {"metadata": {"n": str(self.dice.randrange(10**9)), "file": name}}
        if self.dice.random() < 0.7:  # without, the format's extension is known late
            wish["filename"] = "picture." + name.rsplit(".", 1)[1]
        return wish

    def call(self, method: str, path: str, **options) -> requests.Response:
        return requests.request(method, self.cluster.api(self.dice) + path, timeout=10, **options)

    # --- step 4 ---

    def deliver(self, entry: Entry, presign: dict) -> None:
        fate = self.dice.random()
        if fate < 0.03:
            return  # changed their mind
        if fate < 0.08:
            return self.vanish(entry, presign)
        if fate < 0.09:
            self.delete(entry)  # and send it all the same: the credential is out
        if not self.send(entry, presign) or entry.deleted:
            return
        fate = self.dice.random()
        if fate < 0.06:
            self.pause()
            self.delete(entry)
        elif fate < 0.12:
            self.pause()
            self.retry(entry)
        elif fate < 0.17:
            self.pause()
            self.send(entry, presign)  # as one that did not get to see the answer
        elif fate < 0.30:
            self.replay(entry, presign)
        elif fate < 0.35:
            insist(lambda: self.call("GET", f"/v1/uploads/{entry.id}?wait=5"), 5, self.dice)

    def pause(self) -> None:
        time.sleep(min(self.dice.expovariate(1), 5))

    def send(self, entry: Entry, presign: dict) -> bool:
        data, driver = pictures.files()[entry.file], self.dice.choice((boto3_style, by_hand))

        def form():
            self.book.attempt(entry)
            return driver(presign, data, entry.file)
        answer = insist(form, self.plan.expires, self.dice)
        if answer is None or answer.status == 403:  # too late: the credential has run out
            return False
        if answer.status != 409 and not 200 <= answer.status < 300:  # 409: it has come before, and its answer was lost
            raise AssertionError(f"form of {entry.id}: {answer.status} {answer.text}")
        self.book.accept(entry)
        self.announce(entry.key)
        return True

    def replay(self, entry: Entry, presign: dict) -> None:
        """The credential again, with other pictures: an upload that was accepted stays what it is."""
        if pictures.codes(entry.file):
            return
        good = [name for name in pictures.files() if name != entry.file and not pictures.codes(name)]
        for name in self.dice.sample(good, self.dice.randint(1, 3)):
            self.pause()
            try:
                answer = boto3_style(presign, pictures.files()[name], name)
            except (OSError, requests.RequestException):
                entry.replays.append(name)  # it may have come
                continue
            if 200 <= answer.status < 300 or answer.status >= 500:
                entry.replays.append(name)
                self.announce(entry.key)
            if answer.status < 300 and self.plan.store == "embedded":
                raise AssertionError(f"replay of {entry.id} was taken: {answer.status}")
            self.book.replayed()

    def vanish(self, entry: Entry, presign: dict) -> None:
        """Half a form, and the connection is gone."""
        self.book.attempt(entry, whole=False)
        url, data = urlsplit(presign["url"]), pictures.files()[entry.file]
        request = requests.Request("POST", presign["url"], data=presign["fields"], files={"file": ("a", data)}).prepare()
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items()) + "\r\n"
        cut = self.dice.randrange(max(len(request.body) - 100, 1))
        try:
            with socket.create_connection((url.hostname, url.port), timeout=5) as wire:
                wire.sendall(head.encode() + request.body[:cut])
                time.sleep(self.dice.uniform(0, 0.2))
        except OSError:
            pass

    # --- afterwards ---

    def delete(self, entry: Entry) -> None:
        entry.delete_asked = True
        answer = insist(lambda: self.call("DELETE", f"/v1/uploads/{entry.id}"), 120, self.dice)
        if answer is None or answer.status_code not in (204, 404):
            raise AssertionError(f"deletion of {entry.id}: {answer is not None and answer.text}")
        entry.deleted = True

    def retry(self, entry: Entry) -> None:
        answer = insist(lambda: self.call("POST", f"/v1/uploads/{entry.id}/retry"), 120, self.dice)
        if answer is None or answer.status_code != 202:
            raise AssertionError(f"retry of {entry.id}: {answer is not None and answer.text}")
        entry.retries += 1
