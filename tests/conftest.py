"""Fixtures: every server is real, on loopback, at a free port, in a directory of its own."""
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from support import tintype  # noqa: E402
from support.ceph import Ceph  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.process import REPO  # noqa: E402
from support.receiver import Receiver  # noqa: E402
from support.seaweed import SeaweedFS  # noqa: E402

BUCKETS = count(1)  # a store outlives the deployments on it
# Nothing that asks the network, or a graphics card.
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]
DATA = REPO.parent / "shared" / "data"  # photos kept beside the repository, where there are any


def pytest_terminal_summary(terminalreporter):
    reports = [report for ended in terminalreporter.stats.values() for report in ended]
    lines = {(report.nodeid, line) for report in reports for name, line in getattr(report, "user_properties", []) if name == "measured"}
    if lines:
        terminalreporter.section("measured")
        for test, line in sorted(lines):
            terminalreporter.write_line(f"{test.rpartition('::')[2]}: {line}")


@pytest.fixture
def say(request):
    """Prints a figure at the end of the run, whatever pytest captures, and whichever of its processes runs the test."""
    return lambda line: request.node.user_properties.append(("measured", line))


@pytest.fixture(scope="session")
def receiver():
    backend = Receiver()
    yield backend
    backend.stop()


@pytest.fixture
def serve(tmp_path, receiver, say):
    """`serve(env=..., ...)` starts a Tintype for one test."""
    servers = []

    def start(name: str = "tintype", backend=receiver, **options) -> tintype.Server:
        servers.append(tintype.Server(tmp_path / name, backend, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def embedded(tmp_path_factory, receiver):
    """A Tintype as it comes, with its own store; shared by tests that leave it as they found it."""
    server = tintype.Server(tmp_path_factory.mktemp("embedded"), receiver)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory):
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ceph(tmp_path_factory):
    server = Ceph(tmp_path_factory.mktemp("ceph"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["embedded", "seaweedfs", "ceph", "embedded+postgres", "seaweedfs+postgres"])
def deployment(request, tmp_path_factory, receiver):
    """A Tintype for each store, as `server.at`: `at.notifies` says whether the store tells of uploads by itself.
    Its ledger is in SQLite, or in Postgres."""
    if request.param == "embedded":
        yield request.getfixturevalue("embedded")
        return
    store, _, ledger = request.param.partition("+")
    server = tintype.Server(tmp_path_factory.mktemp(f"tintype-{request.param}"), receiver, start=False)
    if ledger:
        server.env["TINTYPE_LEDGER__URL"] = request.getfixturevalue("postgres").database()
    if store != "embedded":
        peer = request.getfixturevalue(store)
        server.at = peer.bucket(f"photos{ledger}-{next(BUCKETS)}", *([f"{server.url}/v1/events"] if store == "ceph" else []))
        server.env |= server.at.env
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def packed() -> Path:
    """The function as it is deployed, packed of the program that is there now: the zip, and the folder that SAM takes."""
    subprocess.run([REPO / "deploy/aws/build"], check=True)
    return REPO / "deploy/aws/tintype-lambda.zip"


@pytest.fixture(scope="module")
def chromium():
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield browser
        browser.close()


# Files that take a minute or more: first, so that none is left over at the end with the other processes idle.
LONG = ["test_rotten_ledger", "test_js_client", "test_django", "test_faults", "test_aws_deploy", "test_torture", "test_aws_manual",
        "test_function_order", "test_hostile", "test_backfill", "test_schemathesis", "test_sandbox", "test_operations", "test_secrets",
        "test_pages", "test_first_bytes", "test_strangers", "test_monitoring", "test_front", "test_callbacks", "test_aws_templates",
        "test_processes", "test_disk_full"]


def pytest_collection_modifyitems(items):
    place = {name: n for n, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))
