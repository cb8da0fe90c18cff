"""The fsync rule of docs/storage.md, seen from outside: which system calls come before an answer, and in which order."""
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import corpus
from support.process import wait_for
from support.upload import by_hand

IMAGE = corpus.good()["420.jpg"]
CALLS = "fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,write,writev,sendto,sendmsg"


class Trace:
    """System calls of a process that runs, as they ended: `(call, text)`."""

    def __init__(self, pid: int, out: Path):
        self.out = out
        self.child = subprocess.Popen(
            ["strace", "-f", "-yy", "-s", "160", "-e", f"trace={CALLS}", "-p", str(pid), "-o", str(out)],
            stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            line = self.child.stderr.readline()
            if "attached" in line:
                return
            if not line or "not permitted" in line:
                break
        self.child.kill()
        pytest.skip(f"strace may not look at another process here: {line.strip() or 'it ended'}")

    def calls(self) -> list[tuple[str, str]]:
        ended, begun = [], {}
        for line in self.out.read_text(errors="replace").splitlines():
            thread, _, text = line.partition(" ")
            text = text.strip()
            if text.endswith("<unfinished ...>"):
                begun[thread] = text
            elif resumed := re.match(r"<\.\.\. (\w+) resumed>", text):
                if first := begun.pop(thread, None):
                    ended.append((resumed[1], first))
            elif call := re.match(r"(\w+)\(", text):
                ended.append((call[1], text))
        return ended

    def stop(self) -> None:
        self.child.terminate()
        self.child.wait(10)


@pytest.fixture
def traced(serve, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("there is no strace here")
    server = serve(env={"TINTYPE_SERVER__WORKERS": "1"})
    traces = []

    def start() -> Trace:
        traces.append(Trace(server.daemon.pid, tmp_path / f"trace-{len(traces)}"))
        return traces[-1]

    yield server, start
    for trace in traces:
        trace.stop()


def in_order(calls: list, expected: list[tuple[str, str]]) -> None:
    """Each expected call is there, after the one before it."""
    at = 0
    for names, pattern in expected:
        found = next((i for i in range(at, len(calls)) if re.fullmatch(names, calls[i][0]) and re.search(pattern, calls[i][1])), None)
        if found is None:
            rest = "\n".join(f"{name}: {text[:200]}" for name, text in calls)
            pytest.fail(f"no {names} of {pattern} after step {expected.index((names, pattern))} of {expected}; there were\n{rest}")
        at = found + 1


SYNC = "fsync|fdatasync"
ANSWER = "write|writev|sendto|sendmsg"


def test_an_upload_is_on_disk_before_it_is_answered(traced):
    server, start = traced
    created = server.create(filename="a.jpg")
    trace = start()
    assert by_hand(created["presign"], IMAGE).status == 204
    answered = wait_for("the answer in the trace", lambda: any("204 No Content" in text for _, text in trace.calls()))
    assert answered
    key = rf"{created['id']}\.jpg"
    in_order(trace.calls(), [
        ("mkdir|mkdirat", r"store/blobs/\w\w\""),              # a new folder for the blob ...
        (SYNC, r"store/blobs>"),                                # ... is durable before what is in it
        (SYNC, r"store/blobs/\w\w/\w{32}>"),                    # the bytes
        (SYNC, r"store/blobs/\w\w>"),                           # their name
        ("mkdir|mkdirat", r"store/index/temp~\""),
        (SYNC, r"store/index>"),
        (SYNC, r"store/index/temp~/~\w+>"),                     # the record
        ("rename.*", rf"store/index/temp~/~\w+.*{key}"),        # the commit
        (SYNC, r"store/index/temp~>"),                          # its name
        (SYNC, r"tintype\.db-wal>"),                            # the row and the job
        (ANSWER, r"HTTP/1\.1 204 No Content"),
    ])


def test_a_row_is_on_disk_before_its_credential_is_handed_out(traced):
    server, start = traced
    trace = start()
    server.create(filename="a.jpg")
    wait_for("the answer in the trace", lambda: any("201 Created" in text for _, text in trace.calls()))
    in_order(trace.calls(), [(SYNC, r"tintype\.db-wal>"), (ANSWER, r"HTTP/1\.1 201 Created")])


def test_a_deletion_is_on_disk_before_it_is_answered(traced):
    server, start = traced
    created = server.create(filename="a.jpg")
    assert by_hand(created["presign"], IMAGE).status == 204
    assert server.finish(created["id"])["status"] == "completed"
    trace = start()
    assert server.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    wait_for("the answer in the trace", lambda: any("204 No Content" in text for _, text in trace.calls()))
    small, original = rf"{created['id']}_50x50\.jpg", rf"{created['id']}\.jpg"
    in_order(trace.calls(), [
        (SYNC, r"tintype\.db-wal>"),                            # first it is marked: a crash from here on is healed
        ("unlink.*", rf"store/index/image~/{small}"),
        (SYNC, r"store/index/image~>"),                         # gone for good ...
        ("unlink.*", r"store/blobs/\w\w/\w{32}"),               # ... before its bytes go
        ("unlink.*", rf"store/index/temp~/{original}"),
        (SYNC, r"store/index/temp~>"),
        (ANSWER, r"HTTP/1\.1 204 No Content"),
    ])
