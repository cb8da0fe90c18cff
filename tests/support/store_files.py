"""The embedded store's files, where a test plays the disk that fails."""
import json
from pathlib import Path


def record(server, key: str) -> Path:
    """The file that says what an object is. Keys of letters, digits, `.`, `_` and `-` alone."""
    *folders, name = key.split("/")
    return (server.home / "data/store/index").joinpath(*(f"{folder}~" for folder in folders), name)


def blob(server, key: str) -> Path:
    """The file that holds an object's bytes."""
    return server.home / "data/store/blobs" / json.loads(record(server, key).read_text())["blob"]


def rot(file: Path) -> None:
    """One bit, in the middle. Twice is as before."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
