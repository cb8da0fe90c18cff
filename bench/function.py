"""The Lambda function as AWS runs it: `bootstrap` behind the runtime API, a real S3 beside it."""
import argparse
import io
import os
import statistics
import sys
import tempfile
import zipfile
from pathlib import Path

from support import s3
from support.function import BOOTSTRAP, Function, s3_event
from support.receiver import SECRET, Receiver
from support.seaweed import SeaweedFS

STARTS = 20
ROUNDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/function", description=__doc__)
    parser.add_argument("folder", type=Path, help="photos: the ladder of docs/performance.md, say")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/aws.md as well")
    args = parser.parse_args()
    photos = sorted((p for p in args.folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg")), key=lambda p: p.stat().st_size)
    if not BOOTSTRAP.exists():
        sys.exit("bench: build it first: cargo build --release --locked -p tintype-lambda")
    with tempfile.TemporaryDirectory() as home:
        text = program() + "\n" + starts(Path(home)) + "\n" + ladder(Path(home), photos)
    print(text)
    if args.docs:
        from . import docs
        docs.fill("function", text, page=docs.ROOT / "docs" / "aws.md")


def program() -> str:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        zipped.write(BOOTSTRAP, "bootstrap")
    return f"`bootstrap` has {BOOTSTRAP.stat().st_size / 1e6:.1f} MB, zipped {len(out.getvalue()) / 1e6:.1f} MB.\n"


def starts(home: Path) -> str:
    """From the start of the program to its first poll of the runtime API."""
    times = []
    for n in range(STARTS):
        function = Function(home / f"start{n}", {"CALLBACK_URL": "http://127.0.0.1:9/{key}"})
        times.append(function.start() * 1000)
        function.stop()
    return (f"Start to first poll, {STARTS} starts: {min(times):.1f} ms at best, {statistics.median(times):.1f} median, "
            f"{max(times):.1f} at worst.\n")


def ladder(home: Path, photos: list[Path]) -> str:
    """Each photo in a function of its own: the first call (connections, secret, caches), then the median of some more."""
    store, receiver = SeaweedFS(home / "s3"), Receiver()
    try:
        bucket = store.bucket("photos")
        env = {"CALLBACK_URL": receiver.url + "/{key}", "TINTYPE_CALLBACK__SECRET": SECRET,
               "TINTYPE_CALLBACK__ALLOW_PRIVATE": "true", "TINTYPE_UPLOAD__MAX_BYTES": "100MiB",
               "AWS_ENDPOINT_URL": store.endpoint, "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY,
               "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY, "AWS_REGION": s3.REGION}
        lines = ["| photo | bytes | first call | later calls, median | CPU of a later call, mean | peak memory |",
                 "| --- | --: | --: | --: | --: | --: |"]
        lines += [line(home, bucket, env, photo) for photo in photos]
        return "\n".join(lines) + "\n"
    finally:
        store.stop()
        receiver.stop()


def line(home: Path, bucket, env: dict, photo: Path) -> str:
    data, function = photo.read_bytes(), Function(home / photo.stem, env)
    try:
        times, cpu = [], 0
        for n in range(ROUNDS + 1):
            key = f"temp/{photo.stem}-{n}.jpg"
            bucket.s3.put_object(Bucket=bucket.bucket, Key=key, Body=data, ContentType="image/jpeg")
            before = cpu_ms(function) if n else 0
            result = function.invoke(s3_event(bucket.bucket, key))
            if not result.ok or result.body["results"][0]["status"] != "completed":
                sys.exit(f"bench: {photo.name}: {result.body}")
            times.append(result.seconds * 1000)
            cpu += cpu_ms(function) - before if n else 0
        peak = function.daemon.peak_rss() / 2**20
    finally:
        function.stop()
    return (f"| {photo.name} | {len(data)} | {times[0]:.0f} ms | {statistics.median(times[1:]):.0f} ms | "
            f"{cpu / ROUNDS:.0f} ms | {peak:.0f} MiB |")


def cpu_ms(function: Function) -> float:
    """User and system time of the program so far."""
    if function.daemon is None:
        return 0
    fields = Path(f"/proc/{function.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
