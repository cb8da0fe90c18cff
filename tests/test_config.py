"""Configuration, authority, and how the server starts and ends."""
import hashlib
import re
import signal
import tomllib

import pytest
import requests

import corpus
from support import tintype
from support.process import free_port, wait_for
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]


def refused(tmp_path, *args, env: dict | None = None) -> str:
    done = tintype.run("serve", "--listen", f"127.0.0.1:{free_port()}", "--store-listen", f"127.0.0.1:{free_port()}",
                       "--data", tmp_path / "data", *args, env=env, timeout=20)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "panicked" not in done.stderr
    return done.stderr


def test_all_mistakes_are_reported_together(tmp_path):
    config = tmp_path / "tintype.toml"
    config.write_text("""
[limits]
max_pixels = "many"
[upload]
max_bytes = -5
expires = "soon"
prefix = "image/"
[variants]
folder = "image/"
[store]
url = "ftp://photos"
[callbak]
url = "http://127.0.0.1/"
""")
    told = refused(tmp_path, "--config", config, env={"TINTYPE_LIMITS__DEADLINE": "never"})
    for key in ("limits.max_pixels", "upload.max_bytes", "upload.expires", "upload.prefix", "variants.folder", "store.url",
                "callbak", "limits.deadline"):
        assert key in told, f"{key} is not named in:\n{told}"


@pytest.mark.parametrize("name, value, file", [
    ("TINTYPE_SERVER__DRAIN", "90", ""), ("TINTYPE_CALLBACK__SCHEDULE", "5s,90", ""),
    ("", "", "server.drain = 90"), ("", "", 'server.drain = "90"'), ("", "", 'callback.schedule = ["5s", 90]')])
def test_a_duration_has_a_unit(tmp_path, name, value, file):
    config = tmp_path / "tintype.toml"
    config.write_text(file)
    done = tintype.run("config", "--check", "--config", config, env={name: value} if name else None)
    assert done.returncode == 2 and 'write "90s" or "90d"' in done.stderr, done.stderr


@pytest.mark.parametrize("args", [("doctor", "s3://photos", "--wait", "90"), ("deliveries", "resend", "--dead", "--since", "90"),
                                  ("keys", "create", "--name", "x", "--scope", "admin", "--expires", "90")])
def test_a_duration_in_a_flag_has_a_unit(tmp_path, args):
    done = tintype.run(*args, cwd=tmp_path)
    assert done.returncode == 2 and 'write "90s" or "90d"' in done.stderr, done.stderr


def test_the_clients_own_variables_stop_nothing(tmp_path, serve):
    clients = {"TINTYPE_KEY": "tt_abcdefghij_x", "TINTYPE_URL": "http://127.0.0.1:1"}
    done = tintype.run("config", "--check", env=clients, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    server = serve(env=clients)
    assert tintype.run("health", "--config", "/dev/null", env=clients | {"TINTYPE_SERVER__LISTEN": f"127.0.0.1:{server.port}"},
                       cwd=tmp_path).returncode == 0
    done = tintype.run("config", "--check", env={"TINTYPE_KEYS": "x"}, cwd=tmp_path)
    assert done.returncode == 2 and "TINTYPE_KEYS" in done.stderr


def test_check_names_the_file_it_read(tmp_path):
    none = tintype.run("config", "--check", cwd=tmp_path)
    assert none.returncode == 0 and "no file tintype.toml" in none.stderr
    (tmp_path / "tintype.toml").touch()
    usual = tintype.run("config", "--check", cwd=tmp_path)
    assert usual.returncode == 0 and "read from tintype.toml" in usual.stderr
    (tmp_path / "other.toml").touch()
    other = tintype.run("config", "--check", "--config", tmp_path / "other.toml", cwd=tmp_path)
    assert other.returncode == 0 and f"read from {tmp_path}/other.toml" in other.stderr


def test_a_bucket_that_cannot_be_reached_is_said_at_the_start(serve):
    nothing = f"http://127.0.0.1:{free_port()}"
    account = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "TINTYPE_STORE__URL": "s3://photos"}
    server = serve(ready="/healthz", env=account | {"TINTYPE_STORE__ENDPOINT": nothing})
    assert " is ready" in server.log()
    assert re.search(r"^  store +s3://photos \(NOT REACHABLE: .*[Cc]onnection refused", server.log(), re.M), server.log()


@pytest.mark.parametrize("prefix, folder", [("temp/", "temp/out/"), ("a/b/", "a/"), ("", "image/"), ("x/", "x/")])
def test_loop_of_folders_is_refused(tmp_path, prefix, folder):
    told = refused(tmp_path, env={"TINTYPE_UPLOAD__PREFIX": prefix, "TINTYPE_VARIANTS__FOLDER": folder})
    assert "upload.prefix" in told and "variants.folder" in told


def test_printed_defaults_load(tmp_path, serve):
    done = tintype.run("config")
    assert done.returncode == 0
    values = tomllib.loads(done.stdout)
    assert values["upload"]["prefix"] == "temp/" and values["variants"]["folder"] == "image/"
    assert values["upload"]["max_bytes"] == 10485760
    assert done.stdout.count("#") > 10  # annotated
    config = tmp_path / "tintype.toml"
    config.write_text(done.stdout)
    serve(args=("--config", config))


def test_environment_beats_file(tmp_path, serve):
    config = tmp_path / "tintype.toml"
    config.write_text('[upload]\nprefix = "from-file/"\nmax_bytes = 1111\n')
    server = serve(args=("--config", config), env={"TINTYPE_UPLOAD__PREFIX": "from-environment/"})
    created = server.create()
    assert created["presign"]["fields"]["key"].startswith("from-environment/")
    assert boto3_style(created["presign"], b"x" * 1112).code == "EntityTooLarge"


def test_seeds_names_work_as_they_are(serve, receiver):
    server = serve(backend=None, env={
        "IMAGE_FOLDER": "thumbs/", "TEMPORARY_IMAGE_PATH": "incoming/", "THUMB_DIMENSION_SMALL": "20", "THUMB_DIMENSION_MEDIUM": "60",
        "THUMB_DIMENSION_LARGE": "300", "BLUR": "false", "CALLBACK_URL": f"{receiver.url}/seed/{{key}}"})
    created = server.create(filename="a.jpg")
    assert created["presign"]["fields"]["key"] == f"incoming/{created['id']}.jpg"
    assert boto3_style(created["presign"], PHOTO).status == 204
    upload = server.finish(created["id"])
    sizes = {v["key"]: (v["width"], v["height"]) for v in upload["manifest"]["variants"]}
    stem = f"thumbs/{created['id']}"
    assert sizes == {f"{stem}.jpg": (1600, 1200), f"{stem}_20x20.jpg": (20, 15), f"{stem}_60x60.jpg": (60, 45), f"{stem}_300x300.jpg": (300, 225)}
    assert requests.get(upload["manifest"]["variants"][0]["url"]).status_code == 200
    call = receiver.wait(created["id"])
    assert call.path == f"/seed/{created['id']}.jpg" and "webhook-signature" not in call.headers


@pytest.mark.parametrize("blur, count", [("true", 8), ("1", 8), ("t", 8), ("True", 8), ("false", 4), ("0", 4)])
def test_seeds_blur_switch(tmp_path, blur, count):
    folder = corpus.write(tmp_path / "in", {"a.jpg": corpus.good()["420.jpg"]})
    _, lines, err = tintype.process(tmp_path / "out", folder, env={"BLUR": blur})
    assert len(lines[0]["variants"]) == count, err


def test_seeds_blur_radius(tmp_path):
    folder = corpus.write(tmp_path / "in", {"a.jpg": corpus.good()["420.jpg"]})
    blurred = []
    for radius in ("2", "20"):
        _, lines, _ = tintype.process(tmp_path / radius, folder, env={"BLUR_RADIUS": radius})
        blurred.append(next(v["bytes"] for v in lines[0]["variants"] if v["name"] == "original_blurred"))
    assert blurred[0] > blurred[1]


# --- who may call ----------------------------------------------------------------------------------

API_KEY = "tt_0123456789abcdef0123456789abcdef"
KEY = {"TINTYPE_AUTH__KEYS": "sha256:" + hashlib.sha256(API_KEY.encode()).hexdigest()}


def test_open_to_the_network_needs_a_key(tmp_path):
    told = refused(tmp_path, "--listen", f"0.0.0.0:{free_port()}")
    assert "auth.keys" in told and "loopback" in told


def test_key_is_asked_for_and_token_sees_its_own_upload_alone(serve):
    server = serve(env=KEY)
    bearer = lambda token: {"headers": {"Authorization": f"Bearer {token}"}}
    key = API_KEY
    for options in ({}, bearer("wrong"), bearer("")):
        answer = server.call("POST", "/v1/uploads", json={}, **options)
        assert answer.status_code == 401 and answer.json()["code"] == "unauthorized"
    mine, other = (server.call("POST", "/v1/uploads", json={}, **bearer(key)).json() for _ in range(2))
    see = lambda upload, token: server.call("GET", f"/v1/uploads/{upload['id']}", **bearer(token)).status_code
    assert see(mine, key) == see(mine, mine["token"]) == 200
    assert see(other, mine["token"]) in (401, 403, 404)
    assert server.call("POST", "/v1/uploads", json={}, **bearer(mine["token"])).status_code in (401, 403)
    assert server.call("GET", "/v1/deliveries", **bearer(mine["token"])).status_code in (401, 403)
    assert server.call("POST", "/v1/events", json={"Records": []}).status_code in (401, 403)
    for path in ("/healthz", "/readyz"):
        assert server.call("GET", path).status_code == 200
    assert "uploads" not in server.call("GET", "/readyz").json()
    assert server.call("GET", f"/v1/uploads?token={key}").status_code == 401  # addresses are logged: no place for a key
    assert server.call("GET", f"/v1/uploads/{mine['id']}?token={mine['token']}").status_code == 200


def test_key_is_not_kept_in_the_clear(serve):
    server = serve(env=KEY)
    server.call("GET", "/v1/uploads", headers={"Authorization": f"Bearer {API_KEY}"})
    secret = API_KEY.encode()
    assert not [p for p in (server.home / "data").rglob("*") if p.is_file() and secret in p.read_bytes()]
    assert secret not in server.daemon.log.read_bytes()


# --- start and end ---------------------------------------------------------------------------------

def test_serve_says_where_to_go(serve):
    server = serve()
    log = server.daemon.log.read_text()
    assert server.url in log and server.store in log and "store-credentials" in log
    assert server.call("GET", "/").json()["uploads"] == server.url + "/v1/uploads"


def send(server, count: int, data: bytes = PHOTO) -> list[str]:
    ids = []
    for _ in range(count):
        created = server.create(filename="a.jpg")
        assert boto3_style(created["presign"], data).status == 204
        ids.append(created["id"])
    return ids


def test_sigterm_drains(serve, receiver):
    server = serve()
    ids = send(server, 4)
    assert server.stop() == 0
    server.start()
    for upload_id in ids:
        assert server.finish(upload_id)["status"] == "completed"
        receiver.wait(upload_id)
        assert len({r.webhook_id for r in receiver.of(upload_id)}) == 1


def test_kill_9_loses_nothing(serve, receiver):
    server = serve()
    ids = send(server, 8)
    server.daemon.kill()
    server.start()
    for upload_id in ids:
        assert server.finish(upload_id)["status"] == "completed"
        receiver.wait(upload_id)
        assert len({r.webhook_id for r in receiver.of(upload_id)}) == 1


def test_taken_port_is_a_plain_sentence(serve, tmp_path):
    server = serve()
    done = tintype.run("serve", "--listen", f"127.0.0.1:{server.port}", "--store-listen", f"127.0.0.1:{free_port()}",
                       "--data", tmp_path / "other", timeout=20)
    assert done.returncode not in (0, 101) and str(server.port) in done.stderr and "panicked" not in done.stderr


def test_second_signal_is_not_waited_for(serve):
    server = serve()
    send(server, 2)
    for _ in range(2):
        server.daemon.child.send_signal(signal.SIGTERM)
    wait_for("end", lambda: server.daemon.child.poll() is not None, 15)
