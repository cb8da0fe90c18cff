"""Metrics that can be built on: names that are documented, labels that are bounded, alerts that fire, panels that show."""
import hashlib
import json
import os
import re
import signal
import sqlite3
import threading
import time

import pytest
import requests
import yaml

import corpus
from support import decoders, tintype
from support.flaky import Flaky
from support.postgres import Postgres
from support.process import REPO, free_port, wait_for
from support.prometheus import MONITORING, Prometheus, promtool
from support.receiver import Receiver
from support.small_disk import SmallDisk
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
SMALL = corpus.save(corpus.photo(60, 40, 9), "JPEG")
ALERTS = [rule["alert"] for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
MIB = 1 << 20


def metrics(server, **options) -> dict[str, float]:
    """Every series with its value."""
    answer = server.call("GET", "/metrics", **options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


def upload(server, data: bytes = PHOTO, **asked) -> dict:
    created = server.create(filename="a.jpg", **asked)
    assert boto3_style(created["presign"], data).status == 204
    return created


# --- names and labels ------------------------------------------------------------------------------

def test_what_happens_is_counted(serve):
    server = serve()
    before = metrics(server)
    done = upload(server)
    manifest = server.finish(done["id"])["manifest"]
    assert server.finish(upload(server, b"no image")["id"])["status"] == "failed"
    server.call("GET", "/v1/uploads/none")
    wait_for("both callbacks", lambda: metrics(server)['tintype_callback_attempts_total{outcome="delivered"}'] == 2)
    after = metrics(server)
    grown = {series: value - before.get(series, 0) for series, value in after.items() if value != before.get(series, 0)}
    expected = {
        'tintype_uploads_created_total{preset="default"}': 2,
        'tintype_uploads_ended_total{status="completed"}': 1,
        'tintype_uploads_ended_total{status="failed"}': 1,
        'tintype_failures_total{code="unsupported_format"}': 1,
        'tintype_variants_total{format="jpeg"}': len(manifest["variants"]),
        'tintype_variant_bytes_total{format="jpeg"}': sum(variant["bytes"] for variant in manifest["variants"]),
        'tintype_original_bytes_total': len(PHOTO),
        'tintype_upload_seconds_count': 2,
        'tintype_callback_seconds_count': 2,
        'tintype_store_calls_total{operation="put",outcome="ok"}': len(manifest["variants"]) + 1,
        'tintype_http_requests_total{method="POST",route="/v1/uploads",status="201"}': 2,
        'tintype_http_requests_total{method="GET",route="/v1/uploads/{id}",status="404"}': 1,
        'tintype_problems_total{code="not_found"}': 1,
        **{f'tintype_job_step_seconds_count{{step="{step}"}}': 1 for step in ("load", "analyze", "render", "save")},
    }
    assert {series: grown.get(series) for series in expected} == expected
    version = json.loads((server.call("GET", "/openapi.json")).text)["info"]["version"]
    assert any(series.startswith("tintype_build_info{") and f'version="{version}"' in series for series in after)
    stat = requests.get(server.url + "/metrics", timeout=10).text
    assert promtool("check", "metrics", input=stat).stderr == "", promtool("check", "metrics", input=stat).stderr
    # What the kernel says of the process.
    assert abs(after["process_resident_memory_bytes"] - server.daemon.rss()) < server.daemon.rss()
    assert abs(after["process_start_time_seconds"] - time.time()) < 120
    assert 10 < after["process_open_fds"] < after["process_max_fds"]


def test_labels_stay_few_whatever_is_asked(serve):
    server = serve()
    server.call("GET", "/nothing/here")
    before = set(metrics(server))
    ids = [server.create(filename="a.jpg")["id"] for _ in range(3)]
    for n, upload_id in enumerate(ids):
        server.call("GET", f"/v1/uploads/{upload_id}")
        server.call("GET", f"/wp-admin/{n}.php?x={upload_id}")
        server.call(f"VERB{n}", f"/v1/uploads/{upload_id}")
        server.call("PUT", f"/v1/uploads/{upload_id}/result", json={"error": {"code": f"code_{n}", "message": "no"}})
    added = set(metrics(server)) - before
    assert not [series for series in added if re.search(r"VERB|wp-admin|code_\d|[0-9a-f]{32}|127\.0\.0\.1", series)], added
    after = metrics(server)
    assert after['tintype_failures_total{code="other"}'] == 3
    assert after['tintype_http_requests_total{method="GET",route="none",status="404"}'] == 4
    assert after['tintype_http_requests_total{method="other",route="/v1/uploads/{id}",status="405"}'] == 3


def test_scrapes_ask_the_ledger_once_in_a_while(serve):
    server = serve(env={"TINTYPE_LOG__LEVEL": "info,sqlx=debug"})
    began, asked = time.monotonic(), lambda: server.log().count("AS oldest FROM jobs")
    before = asked()
    for _ in range(200):
        metrics(server)
    assert 1 <= asked() - before <= (time.monotonic() - began) / 2 + 1
    # Prometheus's own text, whoever asks for another.
    metrics(server, headers={"Accept": "application/openmetrics-text"})


def test_an_address_of_their_own_needs_a_key_beyond_loopback(serve, tmp_path):
    port = free_port()
    server = serve(env={"TINTYPE_SERVER__METRICS_LISTEN": f"127.0.0.1:{port}"})
    own = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert own.status_code == 200 and "tintype_jobs" in own.text and f"http://127.0.0.1:{port}/metrics" in server.log()
    assert requests.get(f"http://127.0.0.1:{port}/v1/uploads", timeout=10).status_code == 404
    assert requests.get(f"http://127.0.0.1:{port}/metrics", headers={"Host": "evil.example"}, timeout=10).status_code == 403
    done = tintype.run("serve", "--data", tmp_path / "other", "--listen", "127.0.0.1:0", "--store-listen", "127.0.0.1:0",
                       env={"TINTYPE_SERVER__METRICS_LISTEN": f"0.0.0.0:{free_port()}"})
    assert done.returncode == 2 and "no API key" in done.stderr


def test_work_tells_its_own(serve, postgres, seaweedfs):
    at, port, receiver = seaweedfs.bucket("work-metrics"), free_port(), Receiver()
    env = at.env | {"TINTYPE_LEDGER__URL": postgres.database()}
    api = serve("api", receiver, env=env)
    serve("hands", receiver, env=env | {"TINTYPE_SERVER__METRICS_LISTEN": f"127.0.0.1:{port}"}, command="work")
    created = upload(api)
    api.announce(at.bucket, created["presign"]["fields"]["key"])
    assert api.finish(created["id"])["status"] == "completed"
    wait_for("the callback", lambda: receiver.of(created["id"], 200))
    texts = [requests.get(f"http://127.0.0.1:{p}/metrics", timeout=10).text for p in (api.port, port)]
    ended = [int(re.search(r'tintype_uploads_ended_total\{status="completed"\} (\d+)', text)[1]) for text in texts]
    assert sorted(ended) == [0, 1], "one of them did it, and says so"
    assert all('tintype_jobs{state="waiting"} 0' in text for text in texts)
    receiver.stop()


# --- what is deployed ------------------------------------------------------------------------------

def test_rules_are_valid_and_tested():
    for done in (promtool("check", "rules", MONITORING / "alerts.yml"), promtool("check", "config", "--syntax-only", MONITORING / "prometheus.yml"),
                 promtool("test", "rules", "alerts_test.yml", cwd=MONITORING / "tests")):
        assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((MONITORING / "tests/alerts_test.yml").read_text())["tests"]
    fires = {rule["alertname"] for test in tests for rule in test["alert_rule_test"] if rule.get("exp_alerts")}
    silent = {rule["alertname"] for test in tests for rule in test["alert_rule_test"] if not rule.get("exp_alerts")}
    assert fires == silent == set(ALERTS)


def test_every_alert_has_its_section_in_the_runbook():
    runbook = (REPO / "docs/runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", runbook, re.M | re.S))
    assert list(sections) == ALERTS
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
    for alert, text in sections.items():
        assert text.index("**Means.**") < text.index("**Look") < text.index("end.**"), alert


def test_names_in_rules_dashboard_and_runbook_are_documented():
    known = set(re.findall(r"^\| `(\w+)` \|", (REPO / "docs/monitoring.md").read_text(), re.M))
    assert len(known) > 30
    for file in (MONITORING / "alerts.yml", MONITORING / "dashboard.json", REPO / "docs/runbook.md"):
        used = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\b(?:tintype|process)_[a-z_]+", file.read_text())}
        assert used <= known, (file, used - known)


# --- all of it, in the flesh -----------------------------------------------------------------------

class Installation:
    """Three servers and what they stand on, each of which can be broken, behind one Prometheus.

    `bucket` has a store behind a proxy that can refuse, and a Postgres; `disk` a small disk, little memory and a backend that can
    refuse; `spare` is there to be killed."""

    def __init__(self, home, seaweedfs):
        admin, watcher = "an-admin's-key-of-a-test", "the-key-of-prometheus"
        digest = lambda key: "sha256:" + hashlib.sha256(key.encode()).hexdigest()
        keys = {"TINTYPE_AUTH__KEYS": f"{digest(admin)},{digest(watcher)} metrics"}
        self.refused, self.backend, self.postgres = 0, Receiver(), Postgres()
        self.at = seaweedfs.bucket("monitored")
        self.flaky = Flaky(self.at.endpoint, lambda *_: self.refused)
        self.database = self.postgres.database()
        store = self.at.env | {"TINTYPE_STORE__ENDPOINT": self.flaky.endpoint, "TINTYPE_LEDGER__URL": self.database}
        self.disk = SmallDisk(home / "disk/data", 48)
        self.bucket = tintype.Server(home / "bucket", self.backend, env=keys | store | {"TINTYPE_QUEUE__ATTEMPTS": "2"}, start=False)
        self.small = tintype.Server(home / "disk", self.backend, start=False, env=keys | {
            "TINTYPE_LIMITS__MIN_FREE_DISK": "4MiB", "TINTYPE_LIMITS__MEMORY": "15MiB", "TINTYPE_LIMITS__DEADLINE": "5m",
            "TINTYPE_SERVER__WORKERS": "3", "TINTYPE_CALLBACK__SCHEDULE": "100ms,100ms"})
        self.spare = tintype.Server(home / "spare", env=keys, start=False)
        self.servers = {"bucket": self.bucket, "disk": self.small, "spare": self.spare}
        for server in self.servers.values():
            server.http.headers["Authorization"] = f"Bearer {admin}"
            server.start()
        self.prometheus = Prometheus(home / "prometheus", {name: f"127.0.0.1:{server.port}" for name, server in self.servers.items()}, watcher,
                                     window="15s", instead={"oldest_seconds) > 300": "oldest_seconds) > 3", "[15s]))) > 30": "[15s]))) > 3"})
        self.busy = threading.Event()
        self.busy.set()
        self.callers = [threading.Thread(target=self.call, args=(server,), daemon=True) for server in (self.bucket, self.small)]
        for caller in self.callers:
            caller.start()

    def call(self, server) -> None:
        """Somebody asks for uploads all the time, and whether the store is there."""
        while self.busy.is_set():
            for method, path in (("POST", "/v1/uploads"), ("GET", "/readyz")):
                try:
                    requests.request(method, server.url + path, json={} if method == "POST" else None, headers=server.http.headers, timeout=10)
                except requests.RequestException:
                    pass
            time.sleep(0.2)

    def send(self, server, data: bytes) -> str:
        created = upload(server, data)
        if server is self.bucket:
            server.announce(self.at.bucket, created["presign"]["fields"]["key"])
        return created["id"]

    def stop(self) -> None:
        self.busy.clear()
        for caller in self.callers:
            caller.join(15)
        self.prometheus.stop()
        for server in self.servers.values():
            server.stop()
        self.disk.unmount()
        self.flaky.stop()
        self.postgres.stop()
        self.backend.stop()


@pytest.fixture(scope="module")
def installation(tmp_path_factory, seaweedfs):
    here = Installation(tmp_path_factory.mktemp("monitoring"), seaweedfs)
    yield here
    here.stop()


def test_each_alert_fires_when_something_breaks_and_ends_when_it_is_mended(installation, say):
    here, prometheus = installation, installation.prometheus
    began = time.monotonic()
    after = lambda: f"{time.monotonic() - began:.0f} s"
    for server in (here.bucket, here.small):
        assert server.finish(here.send(server, PHOTO))["status"] == "completed"
    wait_for("metrics of all", lambda: len(prometheus.query('up{job="tintype"} == 1')) == 3)
    assert prometheus.firing() == set()

    def fired(*alerts: str, timeout: float = 45):
        try:
            wait_for("alerts", lambda: set(alerts) <= prometheus.notified("firing"), timeout, 0.3)
        except TimeoutError:
            raise AssertionError(f"not fired: {set(alerts) - prometheus.notified('firing')}, {after()}") from None

    # A page of a ledger rots, and a job gets lost.
    here.spare.stop()
    ledger = here.spare.home / "data/tintype.db"
    with sqlite3.connect(ledger) as rows:
        rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root, = rows.execute("SELECT max(rootpage) FROM sqlite_master").fetchone()
    good = ledger.read_bytes()
    with open(ledger, "r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"rot!" * 512)
    here.spare.ready = "/healthz"
    here.spare.start()
    stuck = here.bucket.create(filename="a.jpg")["id"]
    here.postgres.sql(f"UPDATE uploads SET status = 'processing' WHERE id = '{stuck}'", here.database)
    fired("TintypeLedgerDamaged", "TintypeUploadsStuck")
    assert "restore a backup" in here.spare.call("GET", "/readyz").json()["detail"]

    # Everything breaks: the store denies, the backend fails, clients send text, decoders hang, the disk fills up, a server dies.
    lost = [here.send(here.bucket, SMALL)]
    here.refused = 403
    lost += [upload["id"] for upload in [here.bucket.create(filename="a.jpg") for _ in range(2)]]
    for upload_id in lost[1:]:
        here.bucket.announce(here.at.bucket, f"temp/{upload_id}.jpg")
    here.backend.answer("/callback/", *[500] * 500)
    for _ in range(20):
        here.send(here.small, b"a text")
    for pid in decoders.of(here.small.daemon.pid):
        os.kill(pid, signal.SIGSTOP)
    waiting = [here.send(here.small, PHOTO) for _ in range(5)]
    here.disk.fill(leave=3 * MIB)
    here.spare.daemon.kill()
    fired("TintypeDown", "TintypeStoreFailing", "TintypeJobsDead", "TintypeCallbacksFailing", "TintypeCallbacksDead", "TintypeUploadsFailing",
          "TintypeQueueOld", "TintypeMemoryStarved", "TintypeDiskLow", "TintypeRefusingUploads", "TintypeApiErrors")
    # What hangs is killed, and what waited for it is slow; a ledger goes too. All end at once: the job after the first must not meet a
    # second that is about to.
    os.kill(here.small.daemon.pid, signal.SIGSTOP)
    wait_for("its stop", lambda: decoders.state(here.small.daemon.pid) == "T")
    hung = decoders.of(here.small.daemon.pid)
    for pid in hung:
        os.kill(pid, signal.SIGKILL)
    decoders.gone(*hung)
    os.kill(here.small.daemon.pid, signal.SIGCONT)
    here.postgres.shut()
    fired("TintypeDecoderCrashes", "TintypeSlow", "TintypeLedgerDown")
    assert prometheus.notified("firing") == set(ALERTS)
    say(f"{len(ALERTS)} alerts fired, {after()}")

    # And is mended, as the runbook says.
    here.postgres.start()
    here.refused = 0
    here.backend.script.clear()
    here.disk.empty()
    for left in ledger.parent.glob("tintype.db-*"):
        left.unlink()
    ledger.write_bytes(good)
    here.spare.ready = "/readyz"
    here.spare.start()
    assert here.bucket.call("DELETE", f"/v1/uploads/{stuck}").status_code in (204, 404)
    wait_for("the ledger", lambda: here.bucket.call("GET", "/readyz").status_code == 200)
    wait_for("no more pending callbacks", lambda: here.small.call("POST", "/v1/deliveries/resend", json={"status": "dead"}).ok
             and prometheus.query('max(tintype_deliveries{status="dead"}) == 0'))
    for row in here.bucket.call("GET", "/v1/uploads?status=failed").json()["uploads"]:
        retried = here.bucket.call("POST", f"/v1/uploads/{row['id']}/retry")
        if retried.status_code == 409:
            here.bucket.call("DELETE", f"/v1/uploads/{row['id']}")
    assert sorted(here.small.finish(upload_id)["status"] for upload_id in waiting) == ["completed"] * 4 + ["failed"]
    for server in (here.bucket, here.small):
        assert server.finish(here.send(server, PHOTO))["status"] == "completed"
    wait_for("all to end", lambda: prometheus.firing() == set() and prometheus.notified("resolved") == set(ALERTS), 60, 0.3)
    say(f"and were resolved, {after()}")


def test_every_panel_of_the_dashboard_shows_something(installation):
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(panels) > 25
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    # What happens before the first look has no rate.
    wait_for("Prometheus's first looks", lambda: len(installation.prometheus.query('count_over_time(tintype_build_info[1m]) > 1')) == 3)
    for server in (installation.bucket, installation.small):
        server.finish(installation.send(server, PHOTO))
        server.call("GET", "/v1/uploads/none")

    def shown(panel: dict, target: dict):
        expression = target["expr"].replace("$job", "tintype").replace("$__rate_interval", "1m")
        assert "$" not in expression, expression
        values = [float(series["value"][1]) for series in installation.prometheus.query(expression)]
        return any(value == value for value in values)

    for panel in panels:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            wait_for(f"{panel['title']}: {target['expr']}", lambda: shown(panel, target), 20, 0.3)
