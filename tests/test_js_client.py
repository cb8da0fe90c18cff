"""The JavaScript client, in Node and in Chromium, against a server that is real and faults that are."""
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import corpus
from support.process import REPO

PACKAGE = REPO / "integrations/js"
KEY = "the-backend's-key"
CHROMIUM = shutil.which("chromium")
# Node of tests/install, where the machine has none that is new enough.
ENV = {**os.environ, "PATH": f"{REPO}/.peers/node/bin:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def built():
    """The package as it is published, made of the sources that are there now; once, whichever of pytest's processes is first."""
    sources = [PACKAGE / "package-lock.json", PACKAGE / "tsconfig.json", *PACKAGE.glob("src/*")]
    made = PACKAGE / "dist/tintype.js"
    with open(PACKAGE / "package.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists() and made.stat().st_mtime > max(source.stat().st_mtime for source in sources):
            return
        done = subprocess.run(["npm", "run", "--silent", "build"], cwd=PACKAGE, capture_output=True, text=True, timeout=120, env=ENV)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def surroundings(serve, tmp_path):
    """What the tests are told: addresses, a key, a photo, and where to ask for a restart."""
    keys = {"TINTYPE_AUTH__KEYS": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()}
    server = serve(env=keys)
    brief = serve(name="brief", env=keys | {"TINTYPE_UPLOAD__EXPIRES": "4s", "TINTYPE_LIMITS__UPLOADS_PER_MINUTE": "30"})

    class Control(BaseHTTPRequestHandler):
        def do_POST(self):
            server.daemon.kill()
            server.start()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    # One thread for all: a child dies with the thread that started it.
    control = HTTPServer(("127.0.0.1", 0), Control)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    (tmp_path / "photo.jpg").write_bytes(corpus.good()["baseline.jpg"])
    yield {"url": server.url, "store": server.store, "brief": brief.url, "key": KEY, "photo": str(tmp_path / "photo.jpg"),
           "control": f"http://127.0.0.1:{control.server_port}", "folder": str(tmp_path), "chromium": CHROMIUM}
    control.shutdown()
    control.server_close()


def run(suite: str, surroundings: dict, say) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "--test-timeout=120000", f"test/{suite}.test.js"],
        cwd=PACKAGE, capture_output=True, text=True, timeout=150, env={**ENV, "TINTYPE_TEST": json.dumps(surroundings)})
    assert done.returncode == 0, done.stdout + done.stderr
    passed = next(line.split()[-1] for line in done.stdout.splitlines() if "pass " in line)
    assert int(passed) > 0, done.stdout
    say(f"{passed} tests in JavaScript")


@pytest.mark.parametrize("suite", ["client", "faults", "batch", "chromium", "origins", "uppy", "form", "pack"])
def test_in_javascript(built, surroundings, suite, say):
    run(suite, surroundings, say)


def test_on_another_s3(built, serve, ceph, tmp_path, say):
    server = serve(start=False)
    server.at = ceph.bucket("photos-of-javascript", f"{server.url}/v1/events")
    server.env |= server.at.env | {"TINTYPE_UPLOAD__EXPIRES": "8s"}
    server.start()
    (tmp_path / "photo.jpg").write_bytes(corpus.good()["baseline.jpg"])
    run("s3", {"url": server.url, "key": "none", "photo": str(tmp_path / "photo.jpg")}, say)
