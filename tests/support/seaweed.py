"""SeaweedFS in one directory. It checks signatures and POST policies; it sends no notifications."""
import json
from pathlib import Path

import requests

from . import s3
from .process import REPO, Daemon, free_port, wait_for


class SeaweedFS:
    def __init__(self, home: Path):
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.port = home, free_port(offset=10000)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        identities = home / "s3.json"
        identities.write_text(json.dumps({"identities": [
            {"name": "tintype", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
             "credentials": [{"accessKey": s3.ACCESS_KEY, "secretKey": s3.SECRET_KEY}]}]}))
        ports = {f"-{role}.port": free_port(offset=10000) for role in ("master", "volume", "filer")}
        grpc = {f"{flag}.grpc": port + 10000 for flag, port in ports.items()}
        self.daemon = Daemon(
            [REPO / ".peers/venv/bin/weed", "server", f"-dir={home}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
             "-filer", "-s3", f"-s3.port={self.port}", f"-s3.port.grpc={self.port + 10000}",
             f"-s3.config={identities}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
             "-master.volumeSizeLimitMB=64", "-volume.max=500",  # each bucket takes seven
             *(f"{flag}={port}" for flag, port in {**ports, **grpc}.items())],
            home / "weed.log", env={"HOME": str(home)}, cwd=home)
        self.daemon.wait_ready(lambda: requests.get(f"{self.endpoint}/", timeout=1).status_code in (200, 403))

    def bucket(self, name: str) -> s3.Store:
        client = s3.client(self.endpoint)
        wait_for("SeaweedFS takes a bucket", lambda: client.create_bucket(Bucket=name))
        client.put_bucket_policy(Bucket=name, Policy=s3.read_policy(name))
        return s3.Store("seaweedfs", self.endpoint, name, s3.tintype_env(self.endpoint, name))

    def stop(self) -> None:
        self.daemon.stop(grace=3)
