"""The short form of the torture test; docs/reliability.md has the long one's command and figures."""
import os
import secrets

import pytest

from torture.plan import Plan
from torture.trial import Servers, run

SEED = int(os.environ.get("TORTURE_SEED", secrets.randbelow(10**6)))


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp("torture"))
    yield servers
    servers.stop()


@pytest.mark.parametrize("store, ledger", [("embedded", "sqlite"), ("seaweedfs", "postgres")])
def test_nothing_is_lost(servers, tmp_path, say, store, ledger):
    """Twenty kills, and where there are several processes some stops, while a hundred originals arrive and the backend fails one callback in three."""
    report = run(Plan(store, ledger, uploads=100, kills=20, seed=SEED, pace=0.6, expires=12, stop_max=8), servers, tmp_path)
    say(str(report))
    assert not report.breaches, f"TORTURE_SEED={SEED}: {report}\n" + "\n".join(report.breaches[:20])
