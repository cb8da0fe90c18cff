"""Two hundred uploads, sixteen at a time: all developed, none lost, none told twice under two names."""
import time
from concurrent.futures import ThreadPoolExecutor

import corpus
from support.process import wait_for
from support.upload import boto3_style


def test_200_uploads_at_concurrency_16(serve, receiver, say):
    server = serve()
    files = list(corpus.good().items())
    started = time.monotonic()

    def one(n: int) -> str:
        name, data = files[n % len(files)]
        created = server.create(filename=name, metadata={"n": str(n)})
        answer = boto3_style(created["presign"], data, name)
        assert answer.status == 204, answer.text
        return created["id"]

    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(one, range(200)))
    uploaded = time.monotonic() - started
    ends = {i: server.finish(i, 120) for i in ids}
    developed = time.monotonic() - started
    assert {u["status"] for u in ends.values()} == {"completed"}
    assert [ends[i]["manifest"]["metadata"] for i in ids] == [{"n": str(n)} for n in range(200)]

    wait_for("every callback", lambda: all(receiver.of(i, 200) for i in ids), 60)
    names = {i: {r.webhook_id for r in receiver.of(i)} for i in ids}
    assert all(len(n) == 1 for n in names.values()) and len(set.union(*names.values())) == 200
    peak = server.daemon.peak_rss() / 2**20
    say(f"200 uploads: sent in {uploaded:.1f} s, developed by {developed:.1f} s, peak RSS {peak:.0f} MiB")
    assert peak < 512
