"""Every line of tests/abuse.py's table, on real servers; docs/abuse.md is that table."""
import hashlib
import os

import pytest

from abuse import KEY, TABLE, Scene, as_set, document
from support.process import REPO
from support.tintype import Server

CASES = [pytest.param(case, id=f"{title}: {case[0]}".encode("ascii", "replace").decode()) for title, cases in TABLE.items() for case in cases]


@pytest.fixture(scope="module")
def scene(embedded, receiver, tmp_path_factory):
    hashed = hashlib.sha256(KEY.encode()).hexdigest()
    keyed = Server(tmp_path_factory.mktemp("keyed"), receiver, env={"TINTYPE_AUTH__KEYS": f"sha256:{hashed}"}, ready="/healthz")
    yield Scene(embedded, keyed)
    keyed.stop()


@pytest.mark.parametrize("case", CASES)
def test_abuse_is_answered_as_the_table_says(scene, case):
    _, how, statuses, codes = case
    answer = how(scene)
    assert answer.status in as_set(statuses), answer
    assert codes is None or answer.code in as_set(codes), answer
    assert answer.status < 500 or answer.code == "NotImplemented", answer
    assert answer.header("X-Evil") is None, answer
    for server in (scene.open, scene.keyed):
        assert server.daemon.child.poll() is None


def test_nothing_was_left_where_it_does_not_belong(scene):
    """After all of the above: every key lies in its folder, and no file outside the data folder."""
    listed = [o["Key"] for o in scene.open.at.s3.list_objects_v2(Bucket="tintype").get("Contents", [])]
    assert all(key.startswith(("temp/", "image/")) for key in listed), listed
    assert "panicked" not in (scene.open.home / "tintype.log").read_text() + (scene.keyed.home / "tintype.log").read_text()


def test_table_is_the_documented_one():
    """`BLESS=1 pytest tests/test_abuse.py -k documented` writes it anew."""
    kept = REPO / "docs/abuse.md"
    if os.environ.get("BLESS"):
        kept.write_text(document())
    assert kept.read_text() == document()
