"""W3C Trace Context from presign to callback; and, where it is built in, spans of all of it at a collector."""
import os
from pathlib import Path

import pytest

import corpus
from support.collector import Collector
from support.process import REPO, wait_for
from support.receiver import SECRET
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# Built by ./test: `cargo build -p tintype --features otlp`.
WITH_OTLP = Path(os.environ.get("OTLP_BIN_UNDER_TEST", REPO / "target/tintype-otlp"))


def upload(server, **headers) -> str:
    created = server.call("POST", "/v1/uploads", json={"filename": "a.jpg"}, headers=headers).json()
    assert boto3_style(created["presign"], PHOTO).status == 204
    return created["id"]


def test_a_trace_goes_with_the_callback(embedded, receiver):
    given = f"00-{TRACE}-{PARENT}-01"
    upload_id = upload(embedded, traceparent=given)
    assert receiver.wait(upload_id).headers["traceparent"] == given
    # It stays the upload's, whoever begins again.
    again = embedded.call("POST", f"/v1/uploads/{upload_id}/retry", headers={"traceparent": f"00-{PARENT * 2}-{PARENT}-01"})
    assert again.status_code == 202
    wait_for("the second callback", lambda: len(receiver.of(upload_id, 200)) == 2)
    assert {request.headers["traceparent"] for request in receiver.of(upload_id)} == {given}


@pytest.mark.parametrize("bad", [None, "", "00-x", f"00-{TRACE.upper()}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", "a" * 5000])
def test_what_is_no_trace_goes_nowhere(embedded, receiver, bad):
    upload_id = upload(embedded, **({} if bad is None else {"traceparent": bad}))
    assert "traceparent" not in receiver.wait(upload_id).headers


@pytest.fixture
def told(serve):
    if not WITH_OTLP.exists():
        pytest.skip(f"{WITH_OTLP} is not built")
    collector = Collector()
    server = serve(binary=WITH_OTLP, env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"})
    yield server, collector
    server.stop()
    collector.stop()


STEPS = ["load", "analyze", "render", "save"]


def test_one_trace_from_presign_to_callback(told, receiver):
    server, collector = told
    upload_id = upload(server, traceparent=f"00-{TRACE}-{PARENT}-01")
    callback = receiver.wait(upload_id)
    spans = wait_for("all spans", lambda: (found := collector.trace(TRACE)) and {"http", "job", "delivery", *STEPS} <= set(found) and found)
    http, job, delivery = spans["http"], spans["job"], spans["delivery"]
    assert http.parent_span_id.hex() == PARENT
    assert job.parent_span_id == delivery.parent_span_id == http.span_id
    assert {spans[step].parent_span_id for step in STEPS} == {job.span_id}
    times = [spans[name].start_time_unix_nano for name in ("http", "job", *STEPS, "delivery")]
    assert times == sorted(times)
    # The backend goes on from the attempt that reached it.
    assert callback.headers["traceparent"] == f"00-{TRACE}-{delivery.span_id.hex()}-01"
    assert collector.services == {"tintype"}
    attributes = {attribute.key: attribute.value.string_value for attribute in job.attributes}
    assert attributes["upload"] == upload_id


def test_who_brings_no_trace_gets_one(told, receiver):
    server, collector = told
    callback = receiver.wait(upload(server))
    trace_id = callback.headers["traceparent"].split("-")[1]
    spans = wait_for("all spans", lambda: (found := collector.trace(trace_id)) and {"http", "job", "delivery"} <= set(found) and found)
    assert spans["http"].parent_span_id == b""
    assert SECRET.removeprefix("whsec_").encode() not in collector.raw


def test_a_collector_that_is_gone_holds_nothing_up(told, receiver):
    server, collector = told
    collector.stop()
    upload_id = upload(server)
    assert server.finish(upload_id)["status"] == "completed"
    receiver.wait(upload_id)
    assert server.stop() == 0
