"""No secret in any log, error or metric: everything is run with secrets that can be told from all else, and looked through."""
import base64
import json
import os
import re
from urllib.parse import quote

import pytest
import requests

import corpus
from support import s3, tintype
from support.process import free_port, wait_for
from support.proofs import Issuer, Sns
from support.receiver import Receiver
from support.upload import boto3_style, with_fields

PHOTO = corpus.good()["baseline.jpg"]
SIGNING = b"CALLBACK-SECRET-5df1e3b0c2"
STORE = "STORE+SECRET/9c41aa07d3e5"
EVENTGRID = "EVENTGRID-KEY-77ab01c4d9"


def forms(secret: str | bytes) -> set[str]:
    """How a secret may be written: as it is, quoted, in base64, in hex, as bytes of a debugger."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    text = raw.decode()
    return {text, quote(text, safe=""), base64.b64encode(raw).decode().rstrip("="), raw.hex(), raw.hex().upper(), str(list(raw)), json.dumps(text)[1:-1]}


def found(secrets: dict[str, str | bytes], text: str) -> list[str]:
    return [name for name, secret in secrets.items() if any(form in text for form in forms(secret))]


@pytest.mark.parametrize("level", ["trace", "trace,tintype=trace,hyper=trace,reqwest=trace,object_store=trace,sqlx=trace,s3s=trace,h2=trace,rustls=trace"])
@pytest.mark.parametrize("form", ["human", "json"])
def test_no_secret_in_logs_errors_and_metrics(tmp_path, level, form):
    backend, sns, google = Receiver(), Sns(tmp_path / "sns"), Issuer(tmp_path / "issuer")
    host = backend.url.removeprefix("http://")
    server = tintype.Server(tmp_path / "server", start=False, env=sns.env | google.env | {
        "TINTYPE_LOG__LEVEL": level, "TINTYPE_LOG__FORMAT": form, "RUST_BACKTRACE": "1",
        "TINTYPE_CALLBACK__URL": f"http://user:CALLBACK-PASSWORD-61@{host}/callback/{{id}}?key=CALLBACK-QUERY-3f",
        "TINTYPE_CALLBACK__SECRET": "whsec_" + base64.b64encode(SIGNING).decode(), "TINTYPE_CALLBACK__SCHEDULE": "100ms,100ms",
        "TINTYPE_EVENTS__EVENTGRID_KEY": EVENTGRID})
    (server.home / "data/store-credentials").write_text(
        f"[default]\naws_access_key_id = AKIDPUBLIC\naws_secret_access_key = {STORE}\n")
    key = tintype.run("keys", "create", "--name", "all", "--scope", "admin", "--data", server.home / "data").stdout.strip()
    narrow = tintype.run("keys", "create", "--name", "few", "--scope", "events", "--data", server.home / "data").stdout.strip()
    revoked = tintype.run("keys", "create", "--name", "old", "--scope", "events", "--data", server.home / "data").stdout.strip()
    tintype.run("keys", "revoke", revoked.split("_")[1], "--data", server.home / "data")
    server.start()
    secrets = {"callback secret": SIGNING, "callback password": "CALLBACK-PASSWORD-61", "callback query": "CALLBACK-QUERY-3f",
               "store secret": STORE, "event grid key": EVENTGRID, "SNS token": "SNS-TOKEN-2336",
               "API key": key.split("_", 2)[2], "API key without scopes": narrow.split("_", 2)[2], "revoked API key": revoked.split("_", 2)[2]}
    errors: list[str] = []

    def call(method: str, path: str, **options) -> requests.Response:
        answer = server.call(method, path, **options)
        if answer.status_code >= 400:
            errors.append(f"{method} {path.split('?')[0]}: {answer.headers} {answer.text}")
        return answer

    bearer = lambda secret: {"Authorization": f"Bearer {secret}"}
    try:
        # The flow, its callback refused at first.
        backend.answer("/callback/", 500)
        created = call("POST", "/v1/uploads", json={"filename": "a.jpg"}, headers=bearer(key)).json()
        fields = created["presign"]["fields"]
        secrets |= {"upload token": created["token"], "policy": fields["policy"], "signature": fields["x-amz-signature"]}
        for form_sent in (with_fields(created["presign"], key="temp/x"), with_fields(created["presign"], x__amz__signature="0" * 64)):
            refused = boto3_style(form_sent, PHOTO)
            assert refused.status == 403
            errors.append(f"store: {refused.text}")
        assert boto3_style(created["presign"], PHOTO).status == 204
        for query in (f"?token={created['token']}&wait=10", f"/events?token={created['token']}", f"?wait=x&token={created['token']}"):
            call("GET", f"/v1/uploads/{created['id']}{query}")
        wait_for("callback", lambda: len(backend.received) >= 2)
        put = call("POST", "/v1/uploads", json={"method": "PUT", "filename": "a.jpg", "content_type": "image/jpeg"}, headers=bearer(key)).json()["presign"]
        secrets["signature of a PUT"] = re.search("X-Amz-Signature=([0-9a-f]+)", put["url"])[1]
        assert requests.put(put["url"], data=PHOTO, headers=put["headers"], timeout=30).status_code == 200
        errors.append(requests.put(put["url"] + "0", data=PHOTO, headers=put["headers"], timeout=30).text)
        # S3 clients sign with headers; one of them with the wrong secret.
        good = s3.client(server.store, "AKIDPUBLIC", STORE)
        assert good.list_objects_v2(Bucket="tintype")["KeyCount"] > 0
        with pytest.raises(Exception, match="SignatureDoesNotMatch|AccessDenied|403"):
            s3.client(server.store, "AKIDPUBLIC", "wrong").list_objects_v2(Bucket="tintype")

        # Wrong keys, in every place.
        for secret in (key + "x", narrow, revoked, created["token"], google.token()):
            for path in ("/v1/uploads", "/v1/deliveries", f"/v1/uploads/{created['id']}/retry"):
                call("POST", path, json={}, headers=bearer(secret))
                call("GET", f"{path}?token={secret}&cursor={secret}", headers={"x-api-key": secret})
            basic = base64.b64encode(f"me:{secret}".encode()).decode()
            call("GET", "/v1/uploads", headers={"Authorization": f"Basic {basic}"})
        # Events: taken, refused, and nonsense.
        token, expired = google.token(), google.token(exp=1)
        secrets |= {"OIDC token": token.split(".")[2], "expired OIDC token": expired.split(".")[2]}
        for secret in (token, expired):
            call("POST", "/v1/events", data="{", headers=bearer(secret))
        for code in (EVENTGRID, EVENTGRID + "x"):
            call("POST", f"/v1/events?code={code}", data="[]")
            call("OPTIONS", f"/v1/events?code={code}")
        for message in (sns.message("x", "SubscriptionConfirmation"), sns.message("x", "SubscriptionConfirmation") | {"Message": "y"}):
            secrets[f"SNS signature {len(secrets)}"] = message["Signature"]
            call("POST", "/v1/events", json=message)
        sns.pages["/"] = (500, {})
        call("POST", "/v1/events", json=sns.message("x", "SubscriptionConfirmation"))
        # A result with the wrong signature, and one with none.
        call("PUT", f"/v1/uploads/{created['id']}/result", json={"error": "x"}, headers={
            "webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1," + base64.b64encode(SIGNING).decode()})
        # The backend refuses, and then is gone.
        attempts = lambda: [attempt for row in call("GET", "/v1/deliveries", headers=bearer(key)).json()["deliveries"] for attempt in row["attempts"]]
        backend.answer("/callback/", *[(500, {"Connection": "close"})] * 3)
        call("POST", f"/v1/uploads/{created['id']}/retry", headers=bearer(key))
        wait_for("a dead callback", lambda: "dead" in call("GET", "/v1/deliveries", headers=bearer(key)).text)
        backend.stop()
        (dead,) = (row for row in call("GET", "/v1/deliveries?status=dead", headers=bearer(key)).json()["deliveries"])
        call("POST", f"/v1/deliveries/{dead['id']}/resend", headers=bearer(key))
        wait_for("an attempt without an answer", lambda: [a for a in attempts() if a["status"] is None])
        failures = json.dumps(attempts())
        pages = "".join(call("GET", path, headers=bearer(key)).text for path in ("/", "/readyz", "/healthz", "/metrics", "/openapi.json"))
    finally:
        server.stop()
        for web in (backend, sns, google):
            web.stop()
    log = server.daemon.log.read_text()
    assert len(errors) > 20 and "completed" in log and "tintype" in log
    assert not found(secrets, "\n".join(errors) + failures), "in errors"
    assert not found(secrets, pages), "in pages"
    assert 'tintype_callback_attempts_total{outcome="dead"} 1' in pages and host not in pages
    assert not found(secrets, log), [line for line in log.splitlines() if found(secrets, line)][:5]


PASSWORD = "POSTGRES-PASSWORD-48c2"
MISTAKES = {
    "no TOML": f'[callback]\nsecret = {PASSWORD}\n',
    "cut off": f'[callback]\nsecret = "{PASSWORD}\n',
    "twice": f'[callback]\nsecret = "{PASSWORD}"\nsecret = "{PASSWORD}"\n',
    "no secret": f'[callback]\nsecret = "{PASSWORD}"\n',
    "no secret before": f'[callback]\nprevious_secrets = ["{PASSWORD}"]\n',
    "no key": f'[auth]\nkeys = ["{PASSWORD}", "sha256:{PASSWORD}"]\n',
    "no database": f'[ledger]\nurl = "mysql://me:{PASSWORD}@db/tintype"\n',
    "no database at all": f'[ledger]\nurl = "postgres://me:{PASSWORD}@:bad/tintype"\n',
    "no endpoint": f'[store]\nendpoint = "ftp://me:{PASSWORD}@store/?secret={PASSWORD}"\n',
    "no store": f'[store]\nurl = "https://me:{PASSWORD}@store"\n',
    "no callback": f'[callback]\nurl = "ftp://me:{PASSWORD}@backend/"\n',
    "no event grid key": f'[events]\neventgrid_key = "{PASSWORD[-8:]}"\n',
    "no secret of B2": f'[events]\nb2_secret = "{PASSWORD[-8:]}"\n',
}


@pytest.mark.parametrize("what", MISTAKES)
def test_no_secret_in_mistakes_of_a_configuration(tmp_path, what):
    file = tmp_path / "tintype.toml"
    file.write_text(MISTAKES[what])
    for command in (("config", "--check"), ("serve",), ("keys", "list")):
        done = tintype.run(*command, "--config", file, cwd=tmp_path)
        assert done.returncode == 2 and "mistake" in done.stderr, done
        assert PASSWORD[-8:] not in done.stdout + done.stderr, done.stderr


def test_no_password_of_a_database_that_does_not_answer(tmp_path):
    url = f"postgres://me:{PASSWORD}@127.0.0.1:{free_port()}/tintype"
    for command in (("serve", "--listen", "127.0.0.1:0", "--store-listen", "127.0.0.1:0"), ("migrate",), ("jobs",), ("keys", "list"),
                    ("keys", "create", "--name", "x", "--scope", "admin")):
        done = tintype.run(*command, cwd=tmp_path, env={"TINTYPE_LEDGER__URL": url, "TINTYPE_LOG__LEVEL": "trace,sqlx=trace"})
        assert done.returncode == 1 and "postgres://127.0.0.1" in done.stderr, done
        assert PASSWORD not in done.stdout + done.stderr, done.stderr


def test_no_secret_in_what_a_process_shows_of_itself(tmp_path):
    """Arguments and environment are an operator's to choose; none is put there by us."""
    done = tintype.run("keys", "create", "--name", "x", "--scope", "admin", "--data", tmp_path / "data")
    assert done.returncode == 0 and done.stdout.strip() not in done.stderr
    for file in (tmp_path / "data").iterdir():
        assert done.stdout.strip().encode() not in file.read_bytes()
    assert os.stat(tmp_path / "data").st_mode & 0o077 == 0
