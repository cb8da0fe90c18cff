"""A real Prometheus with a real Alertmanager behind it, both on loopback, quick enough for a test."""
import json
import re
import shutil
import subprocess
from pathlib import Path

import requests
import yaml

from .process import REPO, Daemon, free_port
from .receiver import Receiver

MONITORING = REPO / "deploy/monitoring"
# Debian puts it beside others of that name.
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def promtool(*args, **options) -> subprocess.CompletedProcess:
    return subprocess.run(["promtool", *map(str, args)], capture_output=True, text=True, timeout=60, **options)


class Prometheus:
    """`targets`: address by instance. Alerts are those that are deployed, but rendered: every range is `window`, every `for`
    is short, and `instead` changes thresholds, each of which must be there."""

    def __init__(self, home: Path, targets: dict[str, str], key: str, window: str, instead: dict[str, str]):
        home.mkdir(parents=True)
        self.home, self.port, alerts_port = home, free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.told = Receiver()
        (home / "key").write_text(key + "\n")
        (home / "alerts.yml").write_text(rendered((MONITORING / "alerts.yml").read_text(), window, instead))
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (scrape,) = config["scrape_configs"]
        scrape["authorization"]["credentials_file"] = str(home / "key")
        scrape["static_configs"] = [{"targets": [at], "labels": {"instance": name}} for name, at in targets.items()]
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{alerts_port}"]}]}]
        (home / "prometheus.yml").write_text(yaml.safe_dump(config))
        (home / "alertmanager.yml").write_text(yaml.safe_dump({
            "route": {"receiver": "test", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"},
            "receivers": [{"name": "test", "webhook_configs": [{"url": self.told.url + "/alerts", "send_resolved": True}]}]}))
        self.daemons = [
            Daemon([ALERTMANAGER, f"--config.file={home}/alertmanager.yml", f"--storage.path={home}/alertmanager", "--cluster.listen-address=",
                    f"--web.listen-address=127.0.0.1:{alerts_port}"], home / "alertmanager.log"),
            Daemon(["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                    "--rules.alert.resend-delay=1s", "--log.level=warn"], home / "prometheus.log")]
        for daemon, port in zip(self.daemons, (alerts_port, self.port)):
            daemon.wait_ready(lambda: requests.get(f"http://127.0.0.1:{port}/-/ready", timeout=2).ok)

    def query(self, expression: str) -> list[dict]:
        answer = requests.get(self.url + "/api/v1/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", (expression, answer)
        return answer["data"]["result"]

    def firing(self) -> set[str]:
        alerts = requests.get(self.url + "/api/v1/alerts", timeout=10).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def notified(self, status: str) -> set[str]:
        """Alerts that Alertmanager told of, as `firing` or `resolved`."""
        with self.told.lock:
            bodies = [json.loads(request.raw) for request in self.told.received]
        return {alert["labels"]["alertname"] for body in bodies for alert in body["alerts"] if alert["status"] == status}

    def stop(self) -> None:
        for daemon in self.daemons:
            daemon.stop(grace=5)
        self.told.stop()


def rendered(rules: str, window: str, instead: dict[str, str]) -> str:
    rules = re.sub(r"\[\d+m\]", f"[{window}]", rules)
    rules = re.sub(r"for: \d+m", "for: 1s", rules)
    for before, after in instead.items():
        assert before in rules, before
        rules = rules.replace(before, after)
    return rules
