"""What a hostile or merely unlucky client does, and what must come of it."""
import hashlib
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests

import corpus
from support import tintype
from support.process import wait_for
from support.upload import boto3_style, with_fields

PHOTO = corpus.good()["baseline.jpg"]
OTHER = corpus.good()["progressive.jpg"]


def form(presign: dict, data: bytes, *extra: tuple[str, str]) -> bytes:
    """A whole POST request, as bytes."""
    url = urlsplit(presign["url"])
    fields = [*presign["fields"].items(), *extra]
    parts = [f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields]
    body = b"".join(parts) + b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + data + b"\r\n--b--\r\n"
    head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def connect(url: str) -> socket.socket:
    at = urlsplit(url)
    return socket.create_connection((at.hostname, at.port), timeout=30)


def say_and_hear(url: str, request: bytes) -> bytes:
    with connect(url) as wire:
        try:
            wire.sendall(request)
        except OSError:
            pass  # refused before all was sent: the answer is there all the same
        answer = b""
        try:
            while chunk := wire.recv(65536):
                answer += chunk
                if b"</Error>" in answer or answer.startswith(b"HTTP/1.1 204"):
                    break
        except OSError:
            pass
        return answer


def test_client_that_hangs_up_after_its_last_byte_loses_nothing(serve, receiver, say):
    """A closed tab: what is stored is developed; what is not stored stays pending."""
    server = serve()
    created = [server.create(filename="a.jpg") for _ in range(60)]
    for n, upload in enumerate(created):
        with connect(upload["presign"]["url"]) as wire:
            wire.sendall(form(upload["presign"], PHOTO))
            time.sleep(0.001 * (n % 10))
    time.sleep(1)
    stored = {o["Key"] for o in server.at.s3.list_objects_v2(Bucket="tintype", Prefix="temp/").get("Contents", [])}
    arrived = [u["id"] for u in created if u["presign"]["fields"]["key"] in stored]
    for upload_id in arrived:
        assert server.finish(upload_id)["status"] == "completed"
        receiver.wait(upload_id)
    left = {server.status(u["id"])["status"] for u in created if u["id"] not in arrived}
    assert left <= {"pending"}
    say(f"60 clients hung up after the last byte: {len(arrived)} stored and completed, {60 - len(arrived)} never stored")


@pytest.mark.parametrize("replaceable", [False, True], ids=["the-first", "the-last-where-it-may"])
def test_of_originals_for_one_key_one_wins(serve, replaceable):
    server = serve(env={"TINTYPE_SERVER__WORKERS": "4", "TINTYPE_UPLOAD__REPLACEABLE": str(replaceable).lower()})
    created = server.create(filename="a.jpg")
    large = corpus.save(corpus.photo(2400, 1800, 30), "JPEG", quality=90)
    answers = [boto3_style(created["presign"], data).status for data in (large, PHOTO, OTHER)]
    assert answers == [204, *[204 if replaceable else 409] * 2]
    key = created["presign"]["fields"]["key"]
    etag = server.at.s3.head_object(Bucket="tintype", Key=key)["ETag"].strip('"')
    assert etag == hashlib.md5(OTHER if replaceable else large).hexdigest()
    wait_for("no jobs", lambda: server.call("GET", "/readyz").json()["jobs"] == 0)
    manifest = server.finish(created["id"])["manifest"]
    assert manifest["original"]["etag"] == etag
    for variant in manifest["variants"]:
        content = requests.get(variant["url"], timeout=30).content
        assert hashlib.sha256(content).hexdigest() == variant["sha256"], variant["name"]


def test_original_nobody_told_of_is_found_at_the_next_start(tmp_path, seaweedfs, receiver):
    at = seaweedfs.bucket("forgotten")
    at.s3.put_object(Bucket=at.bucket, Key="temp/silent.jpg", Body=PHOTO, ContentType="image/jpeg")
    server = tintype.Server(tmp_path / "t", receiver, start=False)
    server.env |= at.env
    try:
        server.start()
        wait_for("variants", lambda: at.s3.list_objects_v2(Bucket=at.bucket, Prefix="image/silent").get("KeyCount") == 9)
    finally:
        server.stop()


def test_job_that_kills_the_process_is_given_up(serve, receiver):
    server = serve(env={"TINTYPE_QUEUE__CRASHES": "1"}, start=False)
    # AVIF of six megapixels takes many seconds: it is in work when the process dies.
    (server.home / "tintype.toml").write_text("""
        [presets.slow]
        variants = [{ name = "large", width = 3000, format = "avif" }]""")
    server.start()
    created = server.create(filename="a.jpg", preset="slow")
    assert boto3_style(created["presign"], corpus.save(corpus.photo(3000, 2000, 42), "JPEG")).status == 204
    time.sleep(0.5)
    server.daemon.kill()
    server.start()
    upload = server.finish(created["id"])
    assert (upload["status"], upload["error"]["code"]) == ("failed", "internal")
    assert receiver.wait(created["id"]).body["error"]["code"] == "internal"


@pytest.mark.parametrize("extra", [("x-amz-meta-id", "6"), ("X-Amz-Meta-Id", "6"), ("key", "temp/other"), ("Content-Type", "text/html")])
def test_field_sent_twice_is_refused(embedded, extra):
    presign = embedded.create(filename="a.jpg", metadata={"id": "5"})["presign"]
    answer = say_and_hear(presign["url"], form(presign, PHOTO, extra))
    assert answer.startswith(b"HTTP/1.1 400") and b"InvalidArgument" in answer


def test_field_that_no_header_can_hold_is_refused(embedded):
    presign = with_fields(embedded.create(filename="a.jpg")["presign"], Content__Type="image/x\r\nX-Evil: 1")
    answer = say_and_hear(presign["url"], form(presign, PHOTO))
    assert answer.startswith(b"HTTP/1.1 400") and b"InvalidArgument" in answer


def test_presigned_put_takes_no_header_its_signer_did_not_sign(embedded):
    presign = embedded.create(method="PUT", metadata={"id": "5"})["presign"]
    for extra in ({"x-amz-meta-admin": "1"}, {"x-amz-acl": "public-read"}):
        answer = requests.put(presign["url"], data=PHOTO, headers=presign["headers"] | extra, timeout=30)
        assert answer.status_code == 403, answer.text
    assert requests.put(presign["url"], data=PHOTO, headers=presign["headers"], timeout=30).status_code == 200


def test_public_image_is_never_served_as_a_page(embedded):
    created = embedded.create(filename="a.jpg")
    assert boto3_style(created["presign"], PHOTO).status == 204
    url = embedded.finish(created["id"])["manifest"]["variants"][0]["url"]
    for query in ("response-content-type=text/html", "Response-Content-Disposition=inline"):
        assert requests.get(f"{url}?{query}", timeout=30).status_code == 400
    assert requests.get(url, timeout=30).headers["X-Content-Type-Options"] == "nosniff"


def test_endless_form_costs_no_memory(serve, say):
    """Megabytes before the file begins, without any credential."""
    server = serve()
    head = f"POST /tintype HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {50 << 20}\r\n\r\n".encode()
    openings = [b"", b'--b\r\nContent-Disposition: form-data; name="']
    answers = []
    clients = [threading.Thread(target=lambda o=opening: answers.append(say_and_hear(server.store, head + o + b"x" * (50 << 20))))
               for opening in openings * 4]
    [client.start() for client in clients]
    [client.join() for client in clients]
    assert len(answers) == 8 and all(b" 400 " in answer[:20] for answer in answers), [a[:80] for a in answers]
    peak = server.daemon.peak_rss() / 2**20
    say(f"8 forms of 50 MiB without a file: peak RSS {peak:.0f} MiB")
    assert peak < 150


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_page_of_another_origin_cannot_call_a_server_without_keys(embedded, headers):
    for method, path in (("GET", "/v1/uploads"), ("POST", "/v1/events"), ("POST", "/v1/uploads")):
        answer = embedded.call(method, path, headers=headers, data="{}")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert embedded.call("GET", "/v1/uploads", headers={"Origin": "http://localhost:3000"}).status_code == 200


def test_deleted_upload_stays_deleted(embedded):
    created = embedded.create(filename="a.jpg")
    assert boto3_style(created["presign"], PHOTO).status == 204
    assert embedded.finish(created["id"])["status"] == "completed"
    assert embedded.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    boto3_style(created["presign"], PHOTO)  # the credential is good still
    assert embedded.call("GET", f"/v1/uploads/{created['id']}").status_code == 404
    listed = embedded.at.s3.list_objects_v2(Bucket="tintype", Prefix=created["presign"]["fields"]["key"])
    assert listed["KeyCount"] == 0


def test_idempotency_key_of_a_deleted_upload_says_so(embedded):
    ask = lambda: embedded.call("POST", "/v1/uploads", json={}, headers={"Idempotency-Key": "gone"})
    first = ask().json()
    embedded.call("DELETE", f"/v1/uploads/{first['id']}")
    assert (ask().status_code, ask().json()["code"]) == (409, "upload_deleted")


def test_result_is_of_its_own_upload_and_whole(embedded):
    created, other = embedded.create(filename="a.jpg"), embedded.create(filename="a.jpg")
    path = f"/v1/uploads/{created['id']}/result"
    failed = {"id": other["id"], "status": "failed", "error": {"code": "corrupt", "message": "x"}}
    assert embedded.call("PUT", path, json=failed).json()["code"] == "invalid_request"
    assert boto3_style(other["presign"], PHOTO).status == 204
    manifest = embedded.finish(other["id"])["manifest"] | {"id": created["id"], "status": "completed", "variants": []}
    manifest["original"] = manifest["original"] | {"key": created["presign"]["fields"]["key"]}
    assert embedded.call("PUT", path, json=manifest).json()["code"] == "invalid_request"
    assert embedded.status(created["id"])["status"] == "pending"


@pytest.mark.parametrize("path", ["/v1/uploads?limit=abc", "/v1/uploads?limit=1&limit=2", "/v1/uploads/%ff", "/v1/deliveries?limit=-1"])
def test_what_cannot_be_read_is_a_problem_document(embedded, path):
    answer = embedded.call("GET", path)
    assert answer.status_code in (400, 404) and answer.headers["Content-Type"] == "application/problem+json"
    large = embedded.call("POST", "/v1/uploads", data=b" " * (5 << 20), headers={"Content-Type": "application/json"})
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


# --- the command line ------------------------------------------------------------------------------

def test_input_is_never_written_over(tmp_path):
    folder = corpus.write(tmp_path / "image", {"own.jpg": PHOTO})
    done = tintype.run("process", "image/own.jpg", cwd=tmp_path)
    assert done.returncode == 2 and "own.jpg" in done.stderr
    assert (folder / "own.jpg").read_bytes() == PHOTO


def test_pipe_is_refused_and_repeats_are_one(tmp_path):
    folder = corpus.write(tmp_path / "in", {"a.jpg": PHOTO})
    os.mkfifo(folder / "pipe.jpg")
    status, lines, _ = tintype.process(tmp_path / "out", folder, folder / "a.jpg", timeout=30)
    assert status == 1 and [line.get("error", {}).get("code") for line in lines] == [None, "invalid_request"]


def test_lost_output_is_a_failure(tmp_path):
    folder = corpus.write(tmp_path / "in", {"a.jpg": PHOTO})
    with open("/dev/full", "w") as full:
        import subprocess
        done = subprocess.run([tintype.BINARY, "process", "--json", "--out", tmp_path / "out", folder], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "stdout" in done.stderr
