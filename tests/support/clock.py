"""A clock that jumps while the program runs: libfaketime, which reads its offset from a file each time it is asked."""
from pathlib import Path


class Clock:
    def __init__(self, home: Path):
        home.mkdir(parents=True, exist_ok=True)
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            raise RuntimeError("libfaketime is not installed: run tests/install")
        self.file = home / "clock"
        self.jump(0)
        # The clock that deadlines and pauses inside the program go by is the one that never jumps: left alone.
        self.env = {"LD_PRELOAD": str(libraries[0]), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}

    def jump(self, seconds: int) -> None:
        """From now on this far from the true time."""
        part = self.file.with_suffix(".new")
        part.write_text(f"{seconds:+d}s\n")
        part.replace(self.file)
