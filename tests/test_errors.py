"""Each failure ends in its coded error, and nothing else stops."""
import pytest

import corpus
from support.process import free_port, wait_for
from support.receiver import HANG, Receiver
from support.upload import boto3_style

GOOD = corpus.good()["420.jpg"]
FAST = {"TINTYPE_CALLBACK__SCHEDULE": "200ms,400ms,800ms,1s,1s,1s,1s,1s,1s", "TINTYPE_CALLBACK__TIMEOUT": "1s"}


def put(server, data: bytes, filename: str = "a.jpg") -> str:
    created = server.create(filename=filename, metadata={"id": "7"})
    answer = boto3_style(created["presign"], data, filename)
    assert answer.status == 204, answer.text
    return created["id"]


@pytest.mark.parametrize("name", corpus.broken())
def test_broken_file_ends_in_its_code(embedded, receiver, name):
    data, codes = corpus.broken()[name]
    created = embedded.create(filename=name)
    answer = boto3_style(created["presign"], data, name)
    if not data and answer.code == "EntityTooSmall":  # the policy may ask for a byte at least
        return
    assert answer.status == 204, answer.text
    upload = embedded.finish(created["id"])
    assert upload["status"] == "failed" and upload["manifest"] is None
    assert upload["error"]["code"] in codes and upload["error"]["message"]

    body = receiver.wait(created["id"]).verify()
    assert (body["id"], body["status"], body["error"]) == (created["id"], "failed", upload["error"])
    assert body["original"]["key"] == created["presign"]["fields"]["key"]


def test_bit_flips_end_in_variants_or_a_code(embedded):
    """Whatever they are, the server is as well after them as before."""
    ids = {put(embedded, data, name): name for name, data in corpus.flipped().items()}
    for upload_id, name in ids.items():
        upload = embedded.finish(upload_id)
        if upload["status"] == "failed":
            assert upload["error"]["code"] in ("corrupt", "unsupported_format", "too_many_pixels", "too_large"), (name, upload["error"])
    assert embedded.finish(put(embedded, GOOD))["status"] == "completed"


def test_missing_object_is_not_found(embedded, receiver):
    created = embedded.create(filename="a.jpg")
    embedded.announce("tintype", created["presign"]["fields"]["key"])
    upload = embedded.finish(created["id"])
    assert (upload["status"], upload["error"]["code"]) == ("failed", "not_found")
    assert receiver.wait(created["id"]).body["error"]["code"] == "not_found"


def test_too_slow_a_job_times_out(serve):
    server = serve(env={"TINTYPE_LIMITS__DEADLINE": "1ms"})
    upload = server.finish(put(server, corpus.save(corpus.photo(3000, 2000), "PNG"), "a.png"))
    assert (upload["status"], upload["error"]["code"]) == ("failed", "timeout")


def test_retry_develops_what_failed(serve):
    server = serve(env={"TINTYPE_LIMITS__MAX_PIXELS": "1000"})
    upload_id = put(server, GOOD)
    assert server.finish(upload_id)["error"]["code"] == "too_many_pixels"
    server.stop()
    del server.env["TINTYPE_LIMITS__MAX_PIXELS"]
    server.start()
    assert server.call("POST", f"/v1/uploads/{upload_id}/retry").status_code in (200, 202)
    wait_for("completed", lambda: server.status(upload_id, wait=5)["status"] == "completed")


def test_strict_type_refuses_another_format(serve):
    server = serve(env={"TINTYPE_UPLOAD__STRICT_TYPE": "true"})
    created = server.create(filename="a.jpg", content_type="image/jpeg")
    assert boto3_style(created["presign"], corpus.good()["rgb8.png"]).status == 204
    assert server.finish(created["id"])["error"]["code"] == "type_mismatch"


def test_declared_format_is_a_hint_and_the_type_tells_the_truth(embedded):
    created = embedded.create(filename="a.jpg")
    assert boto3_style(created["presign"], corpus.good()["rgb8.png"]).status == 204
    upload = embedded.finish(created["id"])
    assert upload["status"] == "completed" and upload["manifest"]["image"]["format"] == "png"
    assert {v["content_type"] for v in upload["manifest"]["variants"]} == {"image/png"}
    assert all(v["key"].endswith(".jpg") for v in upload["manifest"]["variants"])


# --- callbacks -------------------------------------------------------------------------------------

def test_callback_is_retried_under_one_id(serve, receiver):
    server = serve(env=FAST)
    created = server.create()
    receiver.answer(created["id"], 500, 503, HANG, 302)
    assert boto3_style(created["presign"], GOOD).status == 204
    receiver.wait(created["id"])
    tries = receiver.of(created["id"])
    assert [t.answered for t in tries] == [500, 503, 302, 200]
    assert len({t.webhook_id for t in tries}) == 1
    assert all(t.verify()["status"] == "completed" for t in tries)


def test_callback_host_that_is_down_gets_it_when_it_is_up(serve):
    port = free_port()
    server = serve(backend=None, env=FAST | {"TINTYPE_CALLBACK__URL": f"http://127.0.0.1:{port}/late/{{id}}"})
    upload_id = put(server, GOOD)
    assert server.finish(upload_id)["status"] == "completed"
    server.stop()
    server.start()  # the outbox outlives the process
    late = Receiver(port)
    try:
        assert late.wait(upload_id, 60).body["status"] == "completed"
        assert len({r.webhook_id for r in late.of(upload_id)}) == 1
    finally:
        late.stop()


def test_gone_stops_and_retry_after_is_kept_to(serve, receiver):
    server = serve(env=FAST)
    gone, later = server.create(), server.create()
    receiver.answer(gone["id"], 410)
    receiver.answer(later["id"], (503, {"Retry-After": "3"}))
    for created in (gone, later):
        assert boto3_style(created["presign"], GOOD).status == 204
    receiver.wait(later["id"])
    first, second = receiver.of(later["id"])
    assert second.at - first.at >= 2.9
    assert [r.answered for r in receiver.of(gone["id"])] == [410]  # three seconds on, not asked again


def test_delivery_can_be_sent_again(embedded, receiver):
    upload_id = put(embedded, GOOD)
    first = receiver.wait(upload_id)
    delivery = wait_for("delivery", lambda: [d for d in embedded.deliveries() if upload_id in str(d)])[0]
    assert embedded.call("POST", f"/v1/deliveries/{delivery['id']}/resend").status_code in (200, 202)
    again = wait_for("second delivery", lambda: receiver.of(upload_id)[1:])
    assert again[0].webhook_id == first.webhook_id and again[0].body == first.body


# --- the API's own errors --------------------------------------------------------------------------

PROBLEMS = {
    "bad-json": (("POST", "/v1/uploads", dict(data="{", headers={"Content-Type": "application/json"})), {400, 422}, "invalid_request"),
    "wrong-shape": (("POST", "/v1/uploads", dict(json={"metadata": 7})), {400, 422}, "invalid_request"),
    "unknown-preset": (("POST", "/v1/uploads", dict(json={"preset": "none"})), {400, 404, 422}, "invalid_request"),
    "not-an-image": (("POST", "/v1/uploads", dict(json={"content_type": "text/html"})), {400, 415, 422}, None),
    "list-of-101": (("POST", "/v1/uploads", dict(json=[{}] * 101)), {400, 413, 422}, "invalid_request"),
    "metadata-too-large": (("POST", "/v1/uploads", dict(json={"metadata": {"a": "x" * 3000}})), {400, 413, 422}, "invalid_request"),
    "metadata-injects-header": (("POST", "/v1/uploads", dict(json={"metadata": {"a\r\nb": "c\r\nd"}})), {400, 422}, "invalid_request"),
    "size-too-large": (("POST", "/v1/uploads", dict(json={"size": 10485761})), {400, 413, 422}, "too_large"),
    "unknown-id": (("GET", "/v1/uploads/" + "0" * 32, {}), {404}, "not_found"),
    "malformed-id": (("GET", "/v1/uploads/..%2Fetc", {}), {400, 404}, None),
    "unknown-path": (("GET", "/v1/nothing", {}), {404}, "not_found"),
    "wrong-method": (("PATCH", "/v1/uploads", {}), {405}, None),
    "bad-event": (("POST", "/v1/events", dict(json={"hello": "world"})), {400, 422}, "invalid_request"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_bad_request_is_a_problem_with_a_code(embedded, name):
    (method, path, options), statuses, code = PROBLEMS[name]
    got = embedded.call(method, path, **options)
    assert got.status_code in statuses, got.text
    assert got.headers["Content-Type"].startswith("application/problem+json")
    problem = got.json()
    assert problem["status"] == got.status_code and problem["title"] and problem["code"]
    assert code in (None, problem["code"])


def test_list_makes_one_upload_each(embedded):
    answer = embedded.call("POST", "/v1/uploads", json=[{"filename": f"{n}.jpg"} for n in range(100)])
    assert answer.status_code == 201 and len({u["id"] for u in answer.json()}) == 100


def test_idempotency_key_makes_one_upload(embedded):
    post = lambda key, body: embedded.call("POST", "/v1/uploads", json=body, headers={"Idempotency-Key": key})
    one, two, other = post("k-1", {"filename": "a.jpg"}), post("k-1", {"filename": "a.jpg"}), post("k-2", {"filename": "a.jpg"})
    assert one.status_code == two.status_code == 201 and one.json() == two.json()
    assert other.json()["id"] != one.json()["id"]
    assert post("k-1", {"filename": "b.png"}).status_code in (409, 422)


def test_delete_takes_original_and_variants(embedded):
    upload_id = put(embedded, GOOD)
    manifest = embedded.finish(upload_id)["manifest"]
    assert embedded.call("DELETE", f"/v1/uploads/{upload_id}").status_code in (200, 202, 204)
    left = lambda: [o["Key"] for prefix in ("temp/", "image/") for o in
                    embedded.at.s3.list_objects_v2(Bucket="tintype", Prefix=prefix + upload_id).get("Contents", [])]
    wait_for("all gone", lambda: not left())
    assert len(manifest["variants"]) == 8
    assert embedded.call("GET", f"/v1/uploads/{upload_id}").status_code == 404
