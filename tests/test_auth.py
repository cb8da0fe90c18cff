"""Who may call: API keys, their scopes, and what each route asks for."""
import hashlib
import json
import re
import sqlite3
import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest
import requests
from standardwebhooks import Webhook

import corpus
from support import tintype
from support.process import REPO, wait_for
from support.receiver import SECRET
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
SCOPES = ["uploads:create", "uploads:read", "uploads:write", "results", "events", "deliveries", "metrics", "admin"]
# A server knows of a key, and of its end, after two seconds.
SOON = 4

ID = uuid.uuid4().hex
ANYONE = None
# What each route asks for. A route that is not here fails the test: nobody may forget what it asks for.
ROUTES = {
    ("GET", "/"): ANYONE,
    ("GET", "/admin"): ANYONE,
    ("GET", "/docs"): ANYONE,
    ("GET", "/web/{file}"): ANYONE,
    ("GET", "/healthz"): ANYONE,
    ("GET", "/readyz"): ANYONE,
    ("GET", "/openapi.json"): ANYONE,
    ("GET", "/metrics"): "metrics",
    ("POST", "/v1/uploads"): "uploads:create",
    ("GET", "/v1/uploads"): "uploads:read",
    ("GET", "/v1/uploads/{id}"): "uploads:read",
    ("DELETE", "/v1/uploads/{id}"): "uploads:write",
    ("GET", "/v1/uploads/{id}/events"): "uploads:read",
    ("POST", "/v1/uploads/{id}/retry"): "uploads:write",
    ("POST", "/v1/uploads/{id}/uploaded"): "uploads:create",
    ("POST", "/v1/uploads/{id}/claim"): "uploads:write",
    ("PUT", "/v1/uploads/{id}/result"): "results",
    ("POST", "/v1/uploads/{id}/result"): "results",
    ("POST", "/v1/events"): "events",
    ("OPTIONS", "/v1/events"): "events",
    ("GET", "/v1/deliveries"): "deliveries",
    ("GET", "/v1/deliveries/{id}"): "deliveries",
    ("POST", "/v1/deliveries/{id}/resend"): "deliveries",
    ("POST", "/v1/deliveries/resend"): "deliveries",
    ("GET", "/v1/uploads/{id}/timeline"): "admin",
    ("GET", "/v1/stats"): "admin",
    ("GET", "/v1/config"): "admin",
    ("POST", "/async_image_upload/presignedurl/"): "uploads:create",
    ("POST", "/async_image_upload/presignedurl"): "uploads:create",
    ("GET", "/async_image_upload/presignedurl/{uuid}/"): "uploads:read",
    ("GET", "/async_image_upload/presignedurl/{uuid}"): "uploads:read",
    ("PUT", "/async_image_upload/presignedurl/{uuid}/"): "results",
    ("PUT", "/async_image_upload/presignedurl/{uuid}"): "results",
}


def routes_in_source() -> set[tuple[str, str]]:
    """Every method and path that the API is built of: those of its document, which is made of them, and the rest."""
    document = json.loads(tintype.run("openapi").stdout)
    found = {(method.upper(), path) for path, item in document["paths"].items() for method in item
             if method in ("get", "post", "put", "delete", "patch", "options", "head")}
    seen = 0
    for file in (REPO / "crates/tintype/src/api").rglob("*.rs"):
        text = file.read_text()
        seen += text.count(".route(")
        for path, handlers in re.findall(r'\.route\(\s*"([^"]+)",\s*((?:[^()]|\([^()]*\))*)\)', text):
            methods = re.findall(r"\b(get|post|put|delete|patch|options|head|any)\(", handlers)
            assert methods, f"{file}: {path} {handlers}"
            seen -= 1
            found |= {(method.upper(), path) for method in methods}
    assert seen == 0, "a route is written in a way that this test cannot read"
    return found


def keys(home, *args, **options):
    return tintype.run("keys", *args, "--data", home / "data", **options)


def make(server, *scopes: str, name: str = "test", **options) -> str:
    """A key, once the server knows it."""
    asked = [part for scope in scopes for part in ("--scope", scope)]
    done = keys(server.home, "create", "--name", name, *asked, **options)
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    if server.daemon:
        wait_for("the key", lambda: asks(server) and known(server, key), SOON)
    return key


def bearer(key: str) -> dict:
    return {"Authorization": f"Bearer {key}"}


def asks(server) -> bool:
    """Whether a call without a key is refused: a server that has just got its first key does not know yet."""
    return server.call("GET", "/v1/uploads").status_code == 401


def known(server, key: str) -> bool:
    """Whether a key is good: one that may not is told 403, one that is none 401."""
    return server.call("POST", f"/v1/deliveries/{ID}/resend", headers=bearer(key)).status_code != 401


def listed(home) -> dict:
    done = keys(home, "list", "--json")
    assert done.returncode == 0, done.stderr
    return {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}


def id_of(key: str) -> str:
    return key.split("_")[1]


# --- scopes ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A server, with a key of each scope and one of all but each."""
    server = tintype.Server(tmp_path_factory.mktemp("keyed"), start=False)
    server.only = {scope: make(server, scope) for scope in SCOPES}
    server.but = {scope: make(server, *(s for s in SCOPES if s not in (scope, "admin"))) for scope in SCOPES}
    server.start()
    yield server
    server.stop()


def test_every_route_is_in_the_table():
    assert routes_in_source() == set(ROUTES)


@pytest.mark.parametrize("method, path", ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_a_route_asks_for_its_scope(keyed, method, path):
    scope, path = ROUTES[method, path], re.sub(r"\{\w+\}", ID, path.replace("{file}", "style.css"))
    body = {"json": {}} if method in ("POST", "PUT") else {}
    call = lambda headers: keyed.call(method, path, headers=headers, **body)
    if scope is ANYONE:
        assert call({}).status_code == call(bearer("wrong")).status_code == 200
        return
    for headers in ({}, bearer("wrong"), {"Authorization": "Basic ="}, {"x-api-key": "wrong"}):
        answer = call(headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    answer = call(bearer(keyed.but[scope]))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert f"`{scope}`" in answer.json()["detail"] and id_of(keyed.but[scope]) in answer.json()["detail"]
    for key in (keyed.only[scope], keyed.only["admin"]):
        for headers in (bearer(key), {"x-api-key": key}):
            assert call(headers).status_code not in (401, 403), call(headers).text


def test_a_token_opens_its_upload_to_look_at_and_to_say_that_it_is_sent_and_nothing_else(keyed):
    mine, other = (keyed.call("POST", "/v1/uploads", json={}, headers=bearer(keyed.only["uploads:create"])).json() for _ in range(2))
    for (method, path), scope in ROUTES.items():
        if scope is ANYONE:
            continue
        own = method == "GET" and re.search(r"/(uploads|presignedurl)/\{", path) and not path.endswith("/timeline")
        sent = path.endswith("/uploaded")  # which is not so: there is none
        for upload, good in ((mine, bool(own) or sent), (other, False)):
            filled = re.sub(r"\{\w+\}", upload["id"], path)
            for options in (dict(headers=bearer(mine["token"])), dict(params={"token": mine["token"]})):
                body = {"json": {}} if method in ("POST", "PUT") else {}
                with keyed.http.request(method, keyed.url + filled, timeout=30, stream=True, **options, **body) as answer:
                    assert (answer.status_code in (200, 409 if sent else 200)) == good, (method, filled, answer.status_code)
                    assert good or answer.status_code == 401


def test_readyz_counts_for_those_who_may_see_uploads(keyed):
    assert "uploads" in keyed.call("GET", "/readyz", headers=bearer(keyed.only["uploads:read"])).json()
    assert "uploads" not in keyed.call("GET", "/readyz", headers=bearer(keyed.only["events"])).json()


def test_the_log_names_the_key_and_never_shows_it(keyed):
    key = keyed.only["events"]
    keyed.call("GET", "/v1/uploads", headers=bearer(key) | {"x-request-id": "refused-one"})
    keyed.call("DELETE", f"/v1/uploads/{ID}", headers={"x-request-id": "nobody"})
    log = re.sub(r"\x1b\[[0-9;]*m", "", keyed.daemon.log.read_text())
    (line,) = (line for line in log.splitlines() if "refused-one" in line)
    assert f'key="{id_of(key)}"' in line and "uploads:read" in line
    assert key not in log and not [line for line in log.splitlines() if "nobody" in line and "key=" in line]


def test_a_secret_in_a_path_is_in_no_log(serve):
    """Where it is not taken; but a client may send it there by mistake."""
    server = serve(env={"TINTYPE_LOG__LEVEL": "trace"})
    token, key = server.create(filename="a.jpg")["token"], make(server, "admin")
    for secret in (token, key):
        assert server.call("GET", f"/v1/uploads/{secret}", headers={"x-request-id": "in-the-path"}).status_code in (401, 404)
    assert "in-the-path" in server.log() and token not in server.log() and key not in server.log()


def test_keys_of_the_configuration_may_have_scopes(serve):
    key, other = "a key of my own making", "another"
    digest = lambda text: hashlib.sha256(text.encode()).hexdigest()
    server = serve(env={"TINTYPE_AUTH__KEYS": f"sha256:{digest(key)} uploads:read,sha256:{digest(other)}"})
    assert server.call("GET", "/v1/uploads", headers=bearer(key)).status_code == 200
    refused = server.call("POST", "/v1/uploads", json={}, headers=bearer(key))
    assert refused.status_code == 403 and f"config-{digest(key)[:8]}" in refused.json()["detail"]
    assert server.call("POST", "/v1/uploads", json={}, headers=bearer(other)).status_code == 201
    # Keys of the ledger are good beside them.
    assert server.call("GET", "/v1/uploads", headers=bearer(make(server, "uploads:read"))).status_code == 200


# --- the life of a key -----------------------------------------------------------------------------

def test_a_key_is_shown_once_and_kept_as_a_hash(serve):
    server = serve()
    done = keys(server.home, "create", "--name", "web shop", "--scope", "uploads:create", "--scope", "uploads:read", "--expires", "90d")
    key = done.stdout.strip()
    assert re.fullmatch(r"tt_[a-z0-9]{10}_[A-Za-z0-9_-]{43}", key) and key not in done.stderr
    row = listed(server.home)[id_of(key)]
    assert (row["name"], row["scopes"], row["last_used_at"], row["revoked_at"]) == ("web shop", ["uploads:create", "uploads:read"], None, None)
    created, expires = (datetime.fromisoformat(row[name]) for name in ("created_at", "expires_at"))
    assert f"expires at {expires:%Y-%m-%d %H:%M}Z" in done.stderr
    assert expires - created == timedelta(days=90) and abs(created - datetime.now(timezone.utc)) < timedelta(minutes=1)
    table = keys(server.home, "list").stdout
    assert id_of(key) in table and "web shop" in table and key not in table

    wait_for("the key", lambda: asks(server) and known(server, key), SOON)
    for path in ("/v1/uploads", "/v1/deliveries", "/readyz"):
        server.call("GET", path, headers=bearer(key))
    wait_for("last use", lambda: listed(server.home)[id_of(key)]["last_used_at"])
    server.stop()
    secret = key.encode()
    assert not [p for p in server.home.rglob("*") if p.is_file() and (secret in p.read_bytes() or secret[14:] in p.read_bytes())]


def test_use_is_written_down_once_a_minute(serve):
    server = serve()
    key = make(server, "admin")
    used = lambda: listed(server.home)[id_of(key)]["last_used_at"]
    first = wait_for("last use", used)
    for _ in range(30):
        server.call("GET", "/v1/uploads", headers=bearer(key))
    time.sleep(2.5)
    server.call("GET", "/v1/uploads", headers=bearer(key))
    time.sleep(0.5)
    assert used() == first


def test_a_key_is_asked_for_as_soon_as_there_is_one_and_for_good(serve):
    server = serve()
    assert server.call("GET", "/v1/uploads").status_code == 200
    key = make(server, "uploads:read")
    assert asks(server)
    assert server.call("GET", "/v1/uploads", headers=bearer(key)).status_code == 200
    revoked = keys(server.home, "revoke", id_of(key))
    assert revoked.returncode == 0, revoked.stderr
    gone = wait_for("its end", lambda: (a := server.call("GET", "/v1/uploads", headers=bearer(key))).status_code == 401 and a.text, SOON)
    assert "revoked" in gone
    assert server.call("GET", "/v1/uploads").status_code == 401  # closed, though no key is left
    server.stop()
    server.start()
    assert server.call("GET", "/v1/uploads").status_code == 401
    assert listed(server.home)[id_of(key)]["revoked_at"]


def test_a_key_expires(serve):
    server = serve()
    done = keys(server.home, "create", "--name", "short", "--scope", "admin", "--expires", "4s")
    key = done.stdout.strip()
    wait_for("the key", lambda: asks(server) and known(server, key), SOON)
    gone = wait_for("its end", lambda: (a := server.call("GET", "/v1/uploads", headers=bearer(key))).status_code == 401 and a.text, 8)
    assert "expired" in gone
    assert server.call("GET", "/v1/uploads").status_code == 401


def test_almost_a_key_is_none(serve):
    server = serve()
    key = make(server, "admin")
    start, secret = key[:14], key[14:]
    assert asks(server)
    for wrong in (key[:-1], key + "A", start + "A" * 43, key.upper(), f"tt_abcdefghij_{secret}", key.replace("tt_", ""), id_of(key)):
        answer = server.call("GET", "/v1/uploads", headers=bearer(wrong))
        assert answer.status_code == 401 and wrong not in answer.text
    assert server.call("GET", f"/v1/uploads?token={key}").status_code == 401
    # What the hash is of is not what the hash is.
    with sqlite3.connect(server.home / "data/tintype.db") as db:
        (hashed,) = db.execute("SELECT hash FROM api_keys").fetchone()
    assert server.call("GET", "/v1/uploads", headers=bearer(hashed)).status_code == 401
    assert server.call("GET", "/v1/uploads", headers=bearer(key)).status_code == 200


@pytest.mark.parametrize("args, told", [
    (["create", "--name", "x"], "--scope"), (["create", "--scope", "admin"], "--name"),
    (["create", "--name", "x", "--scope", "uploads"], "uploads:create"), (["create", "--name", "", "--scope", "admin"], "name"),
    (["create", "--name", "x", "--scope", "admin", "--expires", "soon"], "1d"), (["create", "--name", "x", "--scope", "admin", "--expires", "0s"], "90d"),
    (["create", "--name", "x", "--scope", "admin", "--expires", "90"], '"90s" or "90d"'),
    (["create", "--name", "x\ny", "--scope", "admin"], "control"), (["revoke"], "ID"), ([], "create")])
def test_wrong_usage_says_what_is_right(tmp_path, args, told):
    done = keys(tmp_path, *args)
    assert done.returncode == 2 and told in done.stderr + done.stdout, done


def test_a_key_that_is_not_there_is_not_revoked_and_never_printed(tmp_path):
    (tmp_path / "data").mkdir()
    assert tintype.run("migrate", "--data", tmp_path / "data").returncode == 0
    gone = keys(tmp_path, "revoke", "abcdefghij")
    assert gone.returncode == 1 and "abcdefghij" in gone.stderr and "keys list" in gone.stderr
    secret = "tt_abcdefghij_" + "s" * 43
    for wrong in (secret, secret + "s", secret[3:]):
        gone = keys(tmp_path, "revoke", wrong)
        assert gone.returncode == 1 and "there is no key" in gone.stderr and "sss" not in gone.stderr
    key = keys(tmp_path, "create", "--name", "a", "--scope", "admin").stdout.strip()
    assert keys(tmp_path, "revoke", key).returncode == 0, "by the whole key as well as by its id"
    assert json.loads(keys(tmp_path, "list", "--json").stdout)["revoked_at"]


def test_nothing_to_list(tmp_path):
    (tmp_path / "data").mkdir()
    assert tintype.run("migrate", "--data", tmp_path / "data").returncode == 0
    empty = keys(tmp_path, "list")
    assert empty.returncode == 0 and "keys create" in empty.stdout
    assert keys(tmp_path, "list", "--json").stdout == ""


# --- beyond loopback -------------------------------------------------------------------------------

def test_beyond_loopback_there_is_a_key_or_no_server(tmp_path):
    server = tintype.Server(tmp_path, start=False)
    args = ["serve", "--listen", f"0.0.0.0:{server.port}", "--store-listen", f"127.0.0.1:{server.store_port}", "--data", tmp_path / "data"]
    refused = tintype.run(*args, timeout=20)
    assert refused.returncode == 2
    assert "tintype keys create" in refused.stderr and "loopback" in refused.stderr and "auth.keys" in refused.stderr

    short = keys(tmp_path, "create", "--name", "short", "--scope", "admin", "--expires", "1s").stdout.strip()
    time.sleep(1.1)
    assert tintype.run(*args, timeout=20).returncode == 2, "a key that has expired is none"

    key = make(server, "admin")
    server.args = ["--listen", f"0.0.0.0:{server.port}"]
    server.start()
    assert server.call("GET", "/v1/uploads", headers=bearer(key)).status_code == 200
    assert server.call("GET", "/v1/uploads").status_code == server.call("GET", "/v1/uploads", headers=bearer(short)).status_code == 401
    # From another machine, by another name: keys decide, and nothing else.
    assert requests.get(server.url + "/v1/uploads", headers=bearer(key) | {"Host": "img.example.com"}, timeout=9).status_code == 200

    assert keys(tmp_path, "revoke", id_of(key)).returncode == 0
    wait_for("its end", lambda: server.call("GET", "/v1/uploads", headers=bearer(key)).status_code == 401, SOON)
    for headers in ({}, bearer(key), bearer("")):
        for method, path in (("GET", "/v1/uploads"), ("POST", "/v1/uploads"), ("POST", "/v1/events")):
            assert server.call(method, path, headers=headers, **({"json": {}} if method == "POST" else {})).status_code == 401
    server.stop()
    assert tintype.run(*args, timeout=20).returncode == 2


# --- results of a remote processor -----------------------------------------------------------------

def signed(body: dict, webhook_id: str, age: float = 0, secret: str = SECRET) -> dict:
    at, text = datetime.now(timezone.utc) - timedelta(seconds=age), json.dumps(body)
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(int(at.timestamp())), "Content-Type": "application/json",
               "webhook-signature": Webhook(secret).sign(webhook_id, at, text)}
    return {"data": text, "headers": headers}


@pytest.mark.parametrize("path", ["/v1/uploads/{id}/result", "/async_image_upload/presignedurl/{id}/"])
def test_a_signed_result_is_taken_lately_and_for_its_own_upload(serve, receiver, path):
    server = serve()
    key = make(server, "uploads:create", "uploads:read")
    assert asks(server)
    new = lambda: server.call("POST", "/v1/uploads", json={"filename": "a.jpg"}, headers=bearer(key)).json()["id"]
    status = lambda upload: server.call("GET", f"/v1/uploads/{upload}", headers=bearer(key)).json()["status"]
    mine, other = new(), new()
    tell = lambda upload, how: server.call("PUT", path.format(id=upload), **how).status_code
    failed = {"id": mine, "status": "failed", "error": {"code": "corrupt", "message": "cut off"}}
    bare = {"error": "not an image"}

    wrong = SECRET[:-8] + "AAAAAAA="
    assert tell(mine, signed(failed, "msg_1", secret=wrong)) == 401
    assert tell(mine, signed(failed, "msg_1", age=400)) == tell(mine, signed(failed, "msg_1", age=-400)) == 401  # played back later
    forged = signed(failed, "msg_1")
    assert tell(mine, forged | {"data": forged["data"].replace("cut off", "cut up")}) == 401
    assert tell(mine, signed(bare, "msg_1")) == 401, "signed, but for no upload in particular"
    assert tell(other, signed(failed, "msg_1")) == 400 and tell(other, signed(bare, f"{mine}-1")) == 401  # played back on another
    assert status(mine) == status(other) == "pending"

    assert tell(mine, signed(failed, "msg_1")) == 200 and status(mine) == "failed"
    assert tell(other, signed(bare, f"{other}-1")) == 200 and status(other) == "failed"
    results = make(server, "results")
    third = new()
    assert tell(third, {"json": bare, "headers": bearer(key)}) == 403
    assert tell(third, {"json": bare, "headers": bearer(results)}) == 200 and status(third) == "failed"


def test_the_whole_flow_with_keys(serve, receiver):
    server = serve()
    key = make(server, "uploads:create")
    created = server.call("POST", "/v1/uploads", json={"filename": "a.jpg"}, headers=bearer(key)).json()
    assert boto3_style(created["presign"], PHOTO).status == 204
    see = lambda: server.call("GET", f"/v1/uploads/{created['id']}", headers=bearer(created["token"])).json()
    upload = wait_for("its end", lambda: (u := see())["status"] in tintype.FINAL and u)
    assert upload["status"] == "completed"
    receiver.wait(created["id"]).verify()
