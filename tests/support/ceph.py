"""Ceph in one directory: a monitor, an OSD in memory, a gateway. Nothing outside `home` is touched."""
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from . import s3
from .process import Daemon, free_port, listening, wait_for

CONF = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}/0,v1:127.0.0.1:{mon_v1}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = {home}/keyring
run dir = {home}
admin socket = {home}/$name.asok
log file = {home}/$name.log
mon cluster log file = {home}/cluster.log
crash dir = {home}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon data avail crit = 0
mon data avail warn = 0
mon osd full ratio = 1.0
[mon.a]
mon data = {home}/mon
[osd.0]
osd data = {home}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
[client.rgw]
rgw data = {home}/rgw
rgw frontends = beast endpoint=127.0.0.1:{rgw}
rgw enable usage log = false
rgw enable gc threads = false
rgw enable lc threads = false
rgw enable quota threads = false
"""


class Ceph:
    def __init__(self, home: Path):
        self.home, self.port = Path(home), free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.daemons: list[Daemon] = []
        for tool in ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin"):
            if not shutil.which(tool):
                raise RuntimeError(f"{tool} is not installed: run tests/install")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        fsid, mon, mon_v1 = str(uuid.uuid4()), free_port(), free_port()
        self.home.mkdir(parents=True, exist_ok=True)
        for folder in ("mon", "osd", "rgw"):
            (self.home / folder).mkdir()
        self.conf = self.home / "ceph.conf"
        self.conf.write_text(CONF.format(home=self.home, fsid=fsid, mon=mon, mon_v1=mon_v1, rgw=self.port))

        keyring = self.home / "keyring"  # one file for all: the monitor takes every key in it
        self.run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for who in ("client.admin", "client.rgw", "osd.0"):
            caps = [arg for what in ("mon", "osd", "mgr") for arg in ("--cap", what, "allow *")]
            self.run("ceph-authtool", keyring, "--gen-key", "-n", who, *caps)
        monmap = self.home / "monmap"
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a",
                 f"[v2:127.0.0.1:{mon},v1:127.0.0.1:{mon_v1}]", monmap)
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self.daemon("ceph-mon", "-f", "-i", "a").wait_ready(lambda: listening(mon))

        osd_id = self.run("ceph", "osd", "new", str(osd := uuid.uuid4())).strip()
        self.run("ceph-osd", "-i", osd_id, "--mkfs", "--osd-uuid", str(osd))
        self.daemon("ceph-osd", "-f", "-i", osd_id)
        wait_for("Ceph OSD up", lambda: "1 up" in self.run("ceph", "osd", "stat"), 30, 0.2)

        self.run("radosgw-admin", "user", "create", "--uid=tintype", "--display-name=Tintype",
                 f"--access-key={s3.ACCESS_KEY}", f"--secret-key={s3.SECRET_KEY}")
        self.daemon("radosgw", "-f", "-n", "client.rgw").wait_ready(lambda: listening(self.port), 60)

    def bucket(self, name: str, push_to: str | None = None) -> s3.Store:
        """A bucket; with `push_to` every new object is announced there."""
        client = s3.client(self.endpoint)
        client.create_bucket(Bucket=name)
        client.put_bucket_policy(Bucket=name, Policy=s3.read_policy(name))
        if push_to:
            topic = s3.client(self.endpoint, service="sns").create_topic(
                Name=f"{name}-uploads", Attributes={"push-endpoint": push_to})["TopicArn"]
            client.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={
                "TopicConfigurations": [{"Id": "tintype", "TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]})
        return s3.Store("ceph", self.endpoint, name, s3.tintype_env(self.endpoint, name), notifies=bool(push_to))

    def run(self, tool: str, *args) -> str:
        argv = [tool] if tool in ("monmaptool", "ceph-authtool") else [tool, "-c", str(self.conf)]
        done = subprocess.run([*argv, *map(str, args)], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "CEPH_CONF": str(self.conf)})
        if done.returncode:
            raise RuntimeError(f"{tool} {' '.join(map(str, args))}: {done.stdout}{done.stderr}")
        return done.stdout

    def daemon(self, tool: str, *args) -> Daemon:
        self.daemons.append(Daemon([tool, "-c", self.conf, *args], self.home / f"{tool}.out"))
        return self.daemons[-1]

    def stop(self) -> None:
        for daemon in reversed(self.daemons):
            daemon.stop(grace=2)
