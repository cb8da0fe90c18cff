"""schemathesis against the OpenAPI document that the server shows: what fits it, what does not, and chains of calls.

`SCHEMATHESIS_SEED=7 pytest tests/test_schemathesis.py` tries others; `SCHEMATHESIS_EXAMPLES=500` more.
"""
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from abuse import KEY
from support.tintype import run

SEED, EXAMPLES = os.environ.get("SCHEMATHESIS_SEED", "5"), os.environ.get("SCHEMATHESIS_EXAMPLES", "25")
# Seconds for each server; examples and edge cases come first, random ones until the time is up.
TIME = os.environ.get("SCHEMATHESIS_TIME", "35")
CLI = Path(sys.executable).parent / "schemathesis"
# A schema says what one field may be; what none can say (a cursor that was given out, a record of a known
# provider, metadata of 2048 bytes in all) is refused all the same.
NOT_HELD = "positive_data_acceptance"
# A long poll waits as long as it is asked to, and so would this; sizes too large are refused by statuses of their own.
CONFIG = """
[parameters]
"query.wait" = 0
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 413, 414, 415, 422, 431]
"""
# Its answer ends when the upload does: test_watch.py listens.
ENDLESS = "watch_upload"


def schemathesis(url: str, folder: Path, document: dict, *more: str) -> str:
    (folder / "schemathesis.toml").write_text(CONFIG)
    (folder / "openapi.json").write_text(json.dumps(document))
    done = subprocess.run(
        [CLI, "--config-file", "schemathesis.toml", "run", "openapi.json", "--url", url, "--exclude-operation-id", ENDLESS, "--checks", "all", "--exclude-checks", NOT_HELD,
         "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all", "--seed", SEED, "--max-examples", EXAMPLES, "--max-time", TIME,
         "--continue-on-failure", "--generation-database", "none", "--request-timeout", "20", "--max-response-time", "5",
         "--no-color", "--warnings", "off", *more],
        capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, f"seed {SEED}\n{done.stdout[-14000:]}{done.stderr[-3000:]}"
    return done.stdout


def figures(output: str) -> str:
    """Its own summary of how much it tried."""
    lines = [line.strip(" ✅⚡📝") for line in output.splitlines()]
    return "; ".join(line for line in lines if re.search(r"generated|Tested", line))


def test_api_without_keys_keeps_to_its_document(serve, say, tmp_path):
    server = serve(backend=None)
    document = server.call("GET", "/openapi.json").json()
    for item in document["paths"].values():
        for operation in item.values():
            operation.pop("security", None)  # nobody is asked for anything there
    output = schemathesis(server.url, tmp_path, document)
    say(f"seed {SEED}: {figures(output)}")
    assert "panicked" not in (server.home / "tintype.log").read_text()


def test_api_with_keys_keeps_to_its_document(serve, say, tmp_path):
    hashed = hashlib.sha256(KEY.encode()).hexdigest()
    server = serve(backend=None, env={"TINTYPE_AUTH__KEYS": f"sha256:{hashed}"}, ready="/healthz")
    document = server.call("GET", "/openapi.json").json()
    output = schemathesis(server.url, tmp_path, document, "--header", f"Authorization: Bearer {KEY}")
    say(f"seed {SEED}: {figures(output)}")
    assert "panicked" not in (server.home / "tintype.log").read_text()


METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")


def test_every_method_that_is_answered_is_documented(embedded):
    """The routes' own tests hold their paths to the document; these hold their methods."""
    document = embedded.call("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1") and document == json.loads(run("openapi").stdout)
    for path, item in document["paths"].items():
        for method in METHODS:
            body = {"data": b"{", "headers": {"Content-Type": "application/json"}} if method in ("PUT", "POST") else {}
            answer = embedded.call(method, re.sub(r"{\w+}", "0" * 32, path), **body)
            assert (answer.status_code == 405) != (method.lower() in item), (method, path, answer.status_code)
