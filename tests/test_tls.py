"""HTTPS without a proxy: real certificates, real clients, renewal, and what goes wrong."""
import hashlib
import re
import shutil
import ssl
import subprocess
import time

import pytest
import requests

import corpus
from support import s3, tintype
from support.peer import ask, connect, hear, status, trickle
from support.process import REPO, Daemon, free_port, listening
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
HASTE = {"TINTYPE_SERVER__HEADER_TIMEOUT": "1s", "TINTYPE_SERVER__KEEP_ALIVE": "1500ms"}


def certificate(folder, name: str, kind: str = "ec") -> tuple:
    """A certificate for this machine that signs itself, and its key."""
    folder.mkdir(exist_ok=True)
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    new_key = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", "-x509", *new_key, "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True)
    return cert, key


def secure(server: tintype.Server, cert, key, **env) -> tintype.Server:
    server.env |= {"TINTYPE_SERVER__TLS_CERT": str(cert), "TINTYPE_SERVER__TLS_KEY": str(key), **HASTE, **env}
    server.url = server.url.replace("http:", "https:")
    return server


def trusting(*certs) -> ssl.SSLContext:
    context = ssl.create_default_context()
    [context.load_verify_locations(cert) for cert in certs]
    return context


@pytest.fixture
def safe(serve, tmp_path, monkeypatch):
    """A server of the test's own that speaks TLS: itself, its certificate, and its key."""
    cert, key = certificate(tmp_path / "tls", "first")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(cert))
    return secure(serve(start=False), cert, key).start(), cert, key


def test_whole_flow_over_tls(safe, receiver):
    server, *_ = safe
    created = server.create(filename="a.jpg")
    assert created["status_url"].startswith("https://127.0.0.1:") and created["presign"]["url"].startswith("https://127.0.0.1:")
    sent = boto3_style(created["presign"], PHOTO)
    assert sent.status == 204 and sent.headers["location"].startswith("https://")
    manifest = server.finish(created["id"])["manifest"]
    image = requests.get(manifest["variants"][0]["url"], timeout=30)
    assert image.ok and image.headers["strict-transport-security"] == "max-age=31536000"
    assert server.call("GET", "/healthz").headers["strict-transport-security"]
    assert receiver.wait(created["id"]).verify()["status"] == "completed"
    at = s3.Store("embedded", server.store.replace("http:", "https:"), "tintype", notifies=True)
    assert at.s3.list_objects_v2(Bucket="tintype", Prefix="image/")["KeyCount"] == 9
    log = server.daemon.log.read_text()
    assert f"API        {server.url}" in log and "store      https://" in log


def test_large_bodies_both_ways(safe):
    server, *_ = safe
    at = s3.Store("embedded", server.store.replace("http:", "https:"), "tintype", notifies=True)
    body = corpus.photo(1700, 1200, 5).tobytes()
    at.s3.put_object(Bucket="tintype", Key="image/large.bin", Body=body)
    assert requests.get(f"https://127.0.0.1:{server.store_port}/tintype/image/large.bin", timeout=30).content == body


def test_store_may_stay_plain(serve, tmp_path, monkeypatch):
    cert, key = certificate(tmp_path / "tls", "first", "rsa")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    server = secure(serve(start=False), cert, key, TINTYPE_STORE__TLS="false").start()
    created = server.create(filename="a.jpg")
    assert created["presign"]["url"].startswith("http://") and created["status_url"].startswith("https://")
    assert boto3_style(created["presign"], PHOTO).status == 204
    # Said of a host, it would be of the plain port, too.
    assert "strict-transport-security" not in server.call("GET", "/healthz").headers
    assert server.finish(created["id"])["status"] == "completed"


def serves(server, cert) -> bool:
    try:
        with connect(server.url, tls=trusting(cert)) as wire:
            wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return status(hear(wire)) == 200
    except ssl.SSLCertVerificationError:
        return False


def test_renewed_certificate_is_taken_up_without_a_restart(safe, tmp_path):
    server, cert, key = safe
    old = shutil.copy(cert, tmp_path / "old.pem")
    new_cert, new_key = certificate(tmp_path / "tls", "second")
    open_since_before = connect(server.url, tls=trusting(old))
    shutil.copy(new_cert, cert)  # half a renewal: the key is still the old one's
    time.sleep(1.2)
    assert serves(server, old) and not serves(server, new_cert)
    assert "the old one is used on" in server.daemon.log.read_text()
    shutil.copy(new_key, key)
    time.sleep(1.2)
    assert serves(server, new_cert) and not serves(server, old)
    key.write_text("no key")
    time.sleep(1.2)
    assert serves(server, new_cert)
    open_since_before.close()
    assert server.daemon.log.read_text().count("the old one is used on") == 2


def test_renewal_by_links_as_certbot_makes_it(serve, tmp_path, monkeypatch):
    one, two = (certificate(tmp_path / name, name) for name in ("one", "two"))
    cert, key = tmp_path / "live.pem", tmp_path / "live.key"
    cert.symlink_to(one[0]), key.symlink_to(one[1])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(one[0]))
    server = secure(serve(start=False), cert, key).start()
    for link, target in ((cert, two[0]), (key, two[1])):
        (tmp_path / "next").symlink_to(target)
        (tmp_path / "next").rename(link)
    time.sleep(1.2)
    assert serves(server, two[0]) and not serves(server, one[0])


@pytest.mark.parametrize("minimum, works", [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_versions(safe, minimum, works):
    server, cert, _ = safe
    context = trusting(cert)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[minimum]
    if works:
        with connect(server.url, tls=context) as wire:
            assert wire.version() == minimum.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError):
            connect(server.url, tls=context)


def test_who_speaks_http_to_it_is_told(safe):
    server, *_ = safe
    answer = ask(server.url, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status(answer) == 400 and b"https://" in answer
    assert ask(server.url, b"\x16\x03\x01garbage that is no handshake") [:1] in (b"", b"\x15")
    assert server.call("GET", "/healthz").ok


def test_slow_handshake_is_cut_off(safe):
    server, cert, _ = safe
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600)
    for data in (b"", hello):
        with connect(server.url) as wire:
            answer, after = trickle(wire, data, 1, 0.1) if data else (hear(wire), 1)
            assert after < 3 and status(answer) == 0
    with connect(server.url, tls=trusting(cert)) as wire:
        answer, after = trickle(wire, b"GET / HTTP/1.1\r\nX: " + b"x" * 100, 1, 0.1)
        assert answer == b"" and 0.8 < after < 3, "and so is a slow head inside"


def test_drain_is_clean_over_tls(safe):
    server, cert, _ = safe
    idle = connect(server.url, tls=trusting(cert))
    idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status(hear(idle, b"ok")) == 200
    mute = connect(server.url)
    started = time.monotonic()
    server.daemon._signal(15)
    assert hear(idle) == b"" and hear(mute) == b"" and time.monotonic() - started < 1
    assert server.daemon.child.wait(10) == 0


@pytest.mark.parametrize("mistake", ["no key", "no file", "other key", "no certificate", "no PEM key"])
def test_mistakes_are_told_at_the_start(tmp_path, mistake):
    cert, key = certificate(tmp_path / "tls", "first")
    _, other = certificate(tmp_path / "tls", "second")
    files = {"no key": (cert, ""), "no file": (tmp_path / "missing.pem", key), "other key": (cert, other),
             "no certificate": (key, key), "no PEM key": (cert, cert)}[mistake]
    told = {"no key": "server.tls_key", "no file": "server.tls_cert", "other key": "is not the key of",
            "no certificate": "holds no certificate", "no PEM key": "holds no private key"}[mistake]
    done = tintype.run("serve", "--listen", "127.0.0.1:0", "--store-listen", "127.0.0.1:0", cwd=tmp_path, timeout=20,
                       env={"TINTYPE_SERVER__TLS_CERT": str(files[0]), "TINTYPE_SERVER__TLS_KEY": str(files[1])})
    assert done.returncode != 0 and told in done.stderr and "panick" not in done.stderr, done.stderr


def test_nginx_as_docs_tls_says(serve, tmp_path, monkeypatch):
    """The lines of the page, with this machine's ports, names and files."""
    cert, key = certificate(tmp_path / "tls", "proxy")
    port, of_store = free_port(), free_port()
    digest = "sha256:" + hashlib.sha256(b"key").hexdigest()
    server = serve(env={"TINTYPE_SERVER__PUBLIC_URL": f"https://localhost:{port}", "TINTYPE_AUTH__KEYS": digest,
                        "TINTYPE_STORE__ENDPOINT": f"https://localhost:{of_store}"})
    sites = re.search(r"```nginx\n(.*?)```", (REPO / "docs/tls.md").read_text(), re.S).group(1)
    for old, new in (("127.0.0.1:8000", f"127.0.0.1:{server.port}"), ("127.0.0.1:9000", f"127.0.0.1:{server.store_port}"),
                     ("/etc/letsencrypt/live/img.example.com/fullchain.pem", str(cert)),
                     ("/etc/letsencrypt/live/img.example.com/privkey.pem", str(key)),
                     ("img.example.com", "localhost"), ("store.example.com", "localhost")):
        assert old in sites
        sites = sites.replace(old, new)
    sites = sites.replace("listen 443", f"listen 127.0.0.1:{port}", 1).replace("listen 443", f"listen 127.0.0.1:{of_store}", 1)
    folder = tmp_path / "nginx"
    folder.mkdir()
    temporary = "".join(f"{what}_temp_path {folder}/{what};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/pid; user root;\nevents {{}}\nhttp {{\n"
                                       f"access_log off; error_log {folder}/error.log;\n{temporary}{sites}}}\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    nginx = Daemon(["/usr/sbin/nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf"], folder / "log")
    try:
        nginx.wait_ready(lambda: listening(port))
        server.url = f"https://localhost:{port}"
        assert server.call("GET", "/v1/uploads").status_code == 401
        server.http.headers["Authorization"] = "Bearer key"
        created = server.create(filename="a.jpg", metadata={"n": "1"})
        assert created["status_url"].startswith(server.url)
        events = requests.get(created["events_url"] + "?token=" + created["token"], stream=True, timeout=30)
        lines = events.iter_lines(decode_unicode=True)
        assert "pending" in (next(lines) + next(lines)), "told before the end, not with it"
        assert boto3_style(created["presign"], PHOTO).status == 204
        assert any("completed" in line for line in lines)
        put = server.create(filename="b.jpg", method="PUT")["presign"]
        assert requests.put(put["url"], data=PHOTO, headers=put["headers"], timeout=30).ok
        image = server.finish(created["id"])["manifest"]["variants"][0]
        assert len(requests.get(image["url"], timeout=30).content) == image["bytes"]
        started = time.monotonic()
        waiting = server.create(filename="c.jpg")
        assert server.status(waiting["id"], wait=3)["status"] == "pending" and time.monotonic() - started > 2.8
    finally:
        nginx.stop()
