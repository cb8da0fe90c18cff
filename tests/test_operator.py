"""What an operator asks the API for: search, one upload's timeline, how the service does, and its settings."""
from datetime import datetime, timedelta, timezone

import pytest

import corpus
from support.process import wait_for
from support.receiver import SECRET
from support.upload import boto3_style

PHOTO = corpus.good()["grey.jpg"]


@pytest.fixture(params=["sqlite", "postgres"])
def server(request, serve):
    env = {"TINTYPE_LEDGER__URL": request.getfixturevalue("postgres").database()} if request.param == "postgres" else {}
    return serve(env=env | {"TINTYPE_CALLBACK__SCHEDULE": "100ms"})


def develop(server, data: bytes = PHOTO, **asked) -> dict:
    created = server.create(**{"filename": "a.jpg", **asked})
    assert boto3_style(created["presign"], data).status == 204
    return server.finish(created["id"])


def get(server, path: str, **query) -> dict:
    answer = server.call("GET", path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_search_timeline_and_stats(server, receiver):
    receiver.answer("/callback/", 503)
    good, bad = develop(server, metadata={"id": "7"}), develop(server, b"no picture")
    pending = server.create(filename="b.jpg")
    receiver.wait(good["id"])
    receiver.wait(bad["id"])

    found = lambda q, **more: [one["id"] for one in get(server, "/v1/uploads", q=q, **more)["uploads"]]
    key = good["manifest"]["original"]["key"]
    for q in (good["id"], good["id"][:9], good["id"].upper(), key, key[:20], key.removeprefix("temp/"), f" {key} "):
        assert found(q) == [good["id"]], q
    assert found(good["id"], status="failed") == [] == found("%") == found("' OR 1=1 --")
    assert set(found("temp/")) == {good["id"], bad["id"], pending["id"]} == set(found(""))
    first = get(server, "/v1/uploads", q="temp/", limit=2)
    rest = get(server, "/v1/uploads", q="temp/", limit=2, cursor=first["cursor"])
    assert [one["id"] for one in first["uploads"] + rest["uploads"]] == found("temp/")
    for q in ("x" * 1025, "a\0b"):
        assert server.call("GET", "/v1/uploads", params={"q": q}).status_code == 400

    told = get(server, f"/v1/uploads/{bad['id']}/timeline")
    assert told["upload"]["error"] == bad["error"] and told["key"] == f"temp/{bad['id']}.jpg" and told["original_there"]
    whats = [moment["what"] for moment in told["moments"]]
    assert whats[:4] == ["presigned", "uploaded", "event", "attempt"] and set(whats[4:]) == {"callback"}
    times = [datetime.fromisoformat(moment["at"]) for moment in told["moments"]]
    assert times == sorted(times)
    assert "`unsupported_format`" in told["moments"][3]["says"] and told["moments"][3]["failed"]
    told = wait_for("both told", lambda: (t := get(server, f"/v1/uploads/{good['id']}/timeline"))["deliveries"][0]["status"] == "delivered" and t)
    assert told["policy"]["metadata"] == {"id": "7"} and not told["moments"][3]["failed"] and told["jobs"] == []
    assert told["deliveries"][0]["body"] == receiver.wait(good["id"]).body
    assert server.call("GET", f"/v1/uploads/{'0' * 32}/timeline").status_code == 404
    assert [moment["what"] for moment in get(server, f"/v1/uploads/{pending['id']}/timeline")["moments"]] == ["presigned"]

    server.call("POST", f"/v1/uploads/{good['id']}/retry").raise_for_status()
    server.finish(good["id"])
    whats = [moment["what"] for moment in get(server, f"/v1/uploads/{good['id']}/timeline")["moments"]]
    assert whats.count("event") == whats.count("attempt") == 2

    stats = get(server, "/v1/stats")
    assert stats["uploads"] == {"completed": 1, "failed": 1, "pending": 1}
    hour = stats["last_hour"]
    assert (hour["completed"], hour["failed"], hour["failures"]) == (2, 1, {"unsupported_format": 1})
    assert hour["latency"]["jobs"] == 3 and 0 <= hour["latency"]["p50_ms"] <= hour["latency"]["p99_ms"] < 30_000
    assert len(hour["per_minute"]) == 60 and sum(minute["completed"] for minute in hour["per_minute"][-2:]) == 2
    assert abs(datetime.fromisoformat(hour["per_minute"][-1]["at"]) - datetime.now(timezone.utc)) < timedelta(minutes=2)
    assert stats["queue"] == {"waiting": 0, "running": 0, "dead": 0, "oldest_seconds": None}
    assert stats["callbacks"]["dead"] == 0

    assert server.call("DELETE", f"/v1/uploads/{good['id']}").status_code == 204
    assert get(server, "/v1/stats")["last_hour"]["completed"] == 0, "nothing of it is left"


def test_a_callback_that_is_given_up_is_counted(serve):
    server = serve(backend=None, env={"TINTYPE_CALLBACK__URL": "http://127.0.0.1:9/{id}", "TINTYPE_CALLBACK__SCHEDULE": "100ms"})
    failed = develop(server, b"no picture")
    wait_for("dead callback", lambda: get(server, "/v1/stats")["callbacks"] == {"pending": 0, "dead": 1})
    moments = get(server, f"/v1/uploads/{failed['id']}/timeline")["moments"]
    assert [moment["failed"] for moment in moments if moment["what"] == "callback"] == [True, True]


def test_the_settings_in_force_are_shown_without_secrets(serve):
    config = "[variants]\nquality = 80\n[presets.tiny]\ncallback_url = 'https://u:PASSW0RD@example.com/x?y=PASSW0RD'\nvariants = [{ name = 't', width = 9 }]\n"
    server = serve(env={"TINTYPE_UPLOAD__EXPIRES": "10m", "TINTYPE_EVENTS__EVENTGRID_KEY": "PASSW0RD" * 4}, start=False)
    (server.home / "tintype.toml").write_text(config)
    server.start()
    answer = server.call("GET", "/v1/config")
    shown = answer.json()
    of = {one["key"]: one for one in shown["settings"]}
    assert (of["upload.expires"]["value"], of["upload.expires"]["from"]) == ("10m", "TINTYPE_UPLOAD__EXPIRES")
    assert of["variants.quality"]["value"] == 80 and "tintype.toml" in of["variants.quality"]["from"]
    assert of["upload.prefix"] == {"key": "upload.prefix", "value": "temp/", "from": None}
    assert of["callback.secret"]["value"] == of["events.eventgrid_key"]["value"] == "(set, not shown)"
    assert "PASSW0RD" not in answer.text and SECRET.removeprefix("whsec_") not in answer.text
    assert [(preset["name"], preset["variants"]) for preset in shown["presets"] if preset["name"] == "tiny"] == [("tiny", ["t"])]
