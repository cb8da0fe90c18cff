"""PgBouncer before a Postgres, in one of its modes."""
import os
import pwd
import shutil
import tempfile
from pathlib import Path

from .postgres import PASSWORD, USER, Postgres
from .process import Daemon, free_port, listening, wait_for


class PgBouncer:
    """`ignores=False`: as its own configuration comes, it refuses a parameter that sqlx sends."""

    def __init__(self, postgres: Postgres, mode: str, ignores: bool = True):
        binary = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self.port, self.home = free_port(), Path(tempfile.mkdtemp(prefix="tintype-pgbouncer-"))
        users = self.home / "users.txt"
        users.write_text(f'"{USER}" "{PASSWORD}"\n')
        settings = self.home / "pgbouncer.ini"
        settings.write_text("\n".join([
            "[databases]", f"* = host=127.0.0.1 port={postgres.port}", "[pgbouncer]", "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}", "unix_socket_dir =", "auth_type = scram-sha-256", f"auth_file = {users}",
            f"pool_mode = {mode}", "max_client_conn = 200", "default_pool_size = 50",
            *(["ignore_startup_parameters = extra_float_digits"] if ignores else []), ""]))
        as_user = []
        if os.getuid() == 0:  # it refuses to be root
            owner = pwd.getpwnam("postgres")
            for path in (self.home, users, settings):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            as_user = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--pdeathsig=KILL"]
        self.daemon = Daemon([*as_user, binary, settings], self.home / "pgbouncer.log", cwd=self.home)
        wait_for("PgBouncer", lambda: listening(self.port))

    def address(self, database: str) -> str:
        """The way through it to a database of its Postgres."""
        head, _, name = database.rpartition("/")
        return f"{head.rpartition(':')[0]}:{self.port}/{name}"

    def stop(self) -> None:
        self.daemon.stop()
        shutil.rmtree(self.home, ignore_errors=True)
