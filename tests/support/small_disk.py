"""A disk of a few megabytes, for a server's data: it can be filled up, and emptied again."""
import subprocess
from pathlib import Path


class SmallDisk:
    """A tmpfs of `size` MiB at `at`, perhaps with few inodes."""

    def __init__(self, at: Path, size: int, inodes: int | None = None):
        self.at, self.ballast = at, at / "ballast"
        at.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m" + (f",nr_inodes={inodes}" if inodes else ""), "tmpfs", at], capture_output=True, text=True)
        if done.returncode:
            raise PermissionError(done.stderr.strip())

    def free(self) -> int:
        import os
        disk = os.statvfs(self.at)
        return disk.f_bavail * disk.f_frsize

    def fill(self, leave: int) -> None:
        """Takes all but so many bytes."""
        with open(self.ballast, "ab") as file:
            while (more := self.free() - leave) > 0:
                try:
                    file.write(bytes(min(more, 1 << 20)))
                    file.flush()
                except OSError:
                    return

    def empty(self) -> None:
        self.ballast.unlink(missing_ok=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", self.at], check=True)
