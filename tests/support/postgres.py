"""PostgreSQL in a folder of its own: started, stopped, killed and paused as a test likes."""
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .process import Daemon, free_port, listening, wait_for

USER, PASSWORD = "tintype", "pass word/+"  # what must be escaped in an address is part of the test
ADDRESS = f"{USER}:pass%20word%2F%2B"


def binaries() -> Path:
    """Debian keeps the server's programs off the PATH, a folder a version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: float(p.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which("postgres")
    if not found:
        raise RuntimeError("postgres is not installed: run tests/install")
    return Path(found).resolve().parent


class Postgres:
    """`durable=False` trades what a power cut would lose for speed; a killed server loses nothing either way."""

    def __init__(self, durable: bool = False):
        self.bin, self.port = binaries(), free_port()
        # Not below pytest's folder: that is its user's alone, and the server refuses to run as root.
        self.home = Path(tempfile.mkdtemp(prefix="tintype-postgres-"))
        self.data = self.home / "data"
        self.log = self.home / "postgres.log"
        self.databases = 0
        password = self.home / "password"
        password.write_text(PASSWORD)
        self.as_user = []
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (self.home, password):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            self.as_user = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups",
                            "--pdeathsig=KILL"]
        subprocess.run([*self.as_user, self.bin / "initdb", "-D", self.data, "-U", USER, f"--pwfile={password}",
                        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"],
                       check=True, capture_output=True, cwd=self.home)
        self.settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
                         "max_connections": 200, "shared_buffers": "32MB", "log_min_messages": "warning"}
        if not durable:
            self.settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        self.daemon: Daemon | None = None
        self.start()

    def start(self) -> None:
        """Waits for the processes of a server that was killed, which hold its memory for a moment yet."""
        options = [f"--{name}={value}" for name, value in self.settings.items()]

        def attempt():
            self.daemon = Daemon([*self.as_user, self.bin / "postgres", "-D", self.data, *options], self.log, cwd=self.home)
            wait_for("PostgreSQL", lambda: self.daemon.child.poll() is not None or self._answers(), 60)
            return self.daemon.child.poll() is None
        wait_for("PostgreSQL", attempt, 60, 0.3)

    def _answers(self) -> bool:
        return listening(self.port) and self.sql("SELECT 1") == "1"

    def database(self) -> str:
        """The address of a new, empty database."""
        self.databases += 1
        name = f"ledger{self.databases}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgres://{ADDRESS}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What a statement gives: a line a row, fields between `|`. `database` is a name or an address."""
        name = database.rsplit("/", 1)[-1]
        done = subprocess.run([self.bin / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
                               "-p", str(self.port), "-U", USER, "-d", name, "-c", statement],
                              env={**os.environ, "PGPASSWORD": PASSWORD}, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def shut(self) -> None:
        """A fast shutdown: clients are cut off, nothing is lost."""
        os.kill(self.daemon.pid, signal.SIGINT)
        self.daemon.child.wait(60)

    def restart(self) -> None:
        self.shut()
        self.start()

    def kill(self) -> None:
        """kill -9, all of it; `start()` recovers."""
        for pid in self.processes():
            _signal(pid, signal.SIGKILL)
        self.daemon.child.wait()

    def pause(self) -> None:
        """Hangs: connections stay open and nothing answers."""
        for pid in self.processes():
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.processes():
            _signal(pid, signal.SIGCONT)

    def processes(self) -> list[int]:
        """The server first, then its children, each of a session of its own."""
        children = Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children").read_text().split()
        return [self.daemon.pid, *map(int, children)]

    def stop(self) -> None:
        if self.daemon and self.daemon.child.poll() is None:
            self.resume()
            self.shut()
            self.daemon.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
