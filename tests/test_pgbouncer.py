"""PgBouncer between Tintype and Postgres: session mode works; what cannot work is refused at the start, with the way out."""
import pytest

import corpus
from support import tintype
from support.pgbouncer import PgBouncer
from support.upload import boto3_style

IMAGE = corpus.good()["420.jpg"]


@pytest.fixture
def through(postgres):
    """`through(mode)`: the address of a new database, by way of a PgBouncer in that mode."""
    started = []

    def start(mode: str, **options) -> str:
        started.append(PgBouncer(postgres, mode, **options))
        return started[-1].address(postgres.database())
    yield start
    for bouncer in started:
        bouncer.stop()


def refusal(url: str) -> str:
    done = tintype.run("migrate", env={"TINTYPE_LEDGER__URL": url})
    assert done.returncode == 1 and "pass%20word" not in done.stderr, done
    return done.stderr


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_mode_that_shares_sessions_is_refused_with_the_way_out(through, mode):
    said = refusal(through(mode))
    assert "PgBouncer" in said and "pool_mode = session" in said and "ledger.url" in said and f"{mode}" in said, said


def test_a_parameter_that_is_refused_is_named_with_its_setting(through):
    said = refusal(through("session", ignores=False))
    assert "ignore_startup_parameters = extra_float_digits" in said, said


def test_a_postgres_that_is_not_there_is_named_with_the_reason():
    said = refusal("postgres://tintype:pass%20word@127.0.0.1:1/tintype")
    assert "refused" in said and "ledger.url" in said and "pool timed out" not in said, said


def test_a_database_that_is_not_there_is_named_without_lines_of_postgres(postgres):
    said = refusal(postgres.database().rsplit("/", 1)[0] + "/none_of_this_name")
    assert "none_of_this_name" in said and "does not exist" in said and "at line" not in said, said


def test_session_mode_works(through, serve, receiver):
    server = serve(env={"TINTYPE_LEDGER__URL": through("session")})
    for _ in range(3):
        created = server.create(filename="a.jpg")
        assert boto3_style(created["presign"], IMAGE).status == 204
        assert server.finish(created["id"])["status"] == "completed"
        receiver.wait(created["id"]).verify()
