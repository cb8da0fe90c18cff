"""The Lambda function: the real `bootstrap` behind the documented runtime API, on a real S3."""
import io
import re
import subprocess
import zipfile

import pytest
from PIL import Image

import corpus
from support import s3
from support.function import BOOTSTRAP, Function, eventbridge, in_sns, in_sqs, notification, record, s3_event
from support.pillow import NAMES
from support.process import REPO, free_port
from support.receiver import SECRET

PHOTO = corpus.save(corpus.photo(800, 600, 41), "JPEG", quality=85)
BUCKET = "example-bucket"
PATH = "/async_image_upload/presignedurl/"


@pytest.fixture(scope="module")
def bucket(seaweedfs):
    return seaweedfs.bucket(BUCKET)


@pytest.fixture
def function(tmp_path, bucket, receiver):
    """`function(env=...)` deploys one for one test. It is told of no bucket: events name theirs."""
    deployed = []

    def deploy(env: dict | None = None, **options) -> Function:
        told = {"CALLBACK_URL": receiver.url + PATH + "{key}/", "TINTYPE_CALLBACK__SECRET": SECRET,
                "TINTYPE_CALLBACK__ALLOW_PRIVATE": "true", "AWS_ENDPOINT_URL": bucket.endpoint,
                "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY, "AWS_REGION": s3.REGION}
        deployed.append(Function(tmp_path / f"f{len(deployed)}", told | (env or {}), **options))
        return deployed[-1]

    yield deploy
    for one in deployed:
        one.stop()


def put(bucket, key: str, data: bytes = PHOTO, content_type: str = "image/jpeg", **metadata) -> None:
    bucket.s3.put_object(Bucket=bucket.bucket, Key=key, Body=data, ContentType=content_type, Metadata=metadata)


def outputs(bucket, prefix: str) -> dict:
    found = bucket.s3.list_objects_v2(Bucket=bucket.bucket, Prefix=f"image/{prefix}").get("Contents", [])
    return {o["Key"]: o for o in found}


def callbacks(receiver, part: str) -> list:
    return [r for r in receiver.received if part in r.path]


# --- the seed's own scenario ---------------------------------------------------------------------------

@pytest.mark.parametrize("blur, count", [("False", 4), ("True", 8)])
def test_the_seeds_unit_scenario(function, bucket, receiver, blur, count):
    put(bucket, "test/key", id="12345")
    for key in outputs(bucket, "test/key"):
        bucket.s3.delete_object(Bucket=BUCKET, Key=key)
    before = len(callbacks(receiver, PATH + "test/key/"))
    result = function({"BLUR": blur}).invoke(s3_event(BUCKET, "test/key"))
    assert result.ok, result.body
    variants = [key for key in outputs(bucket, "test/key") if not key.endswith(".manifest.json")]
    assert len(variants) == count
    told = callbacks(receiver, PATH + "test/key/")[before:]
    assert [t.method for t in told] == ["PUT"]
    body = told[0].verify()
    assert (body["status"], body["processed_key"], len(body["variants"])) == ("completed", "image/test/key.jpeg", count)
    assert body["metadata"] == {"id": "12345"}


def test_the_seeds_failure_gives_an_error(function, bucket, receiver):
    put(bucket, "test/text", b"no image at all", "text/plain", id="77")
    result = function().invoke(s3_event(BUCKET, "test/text"))
    assert result.ok, "a file that is no image is no fault of AWS: it must not be tried again"
    body = callbacks(receiver, PATH + "test/text/")[-1].verify()
    assert (body["status"], body["error"]["code"]) == ("failed", "unsupported_format")
    assert body["metadata"] == {"id": "77"} and body["original"] == {"key": "test/text"}
    assert not outputs(bucket, "test/text")


# --- envelopes -------------------------------------------------------------------------------------------

ENVELOPES = {
    "s3": lambda e: e,
    "sns": in_sns,
    "sqs": in_sqs,
    "sns in sqs": lambda e: in_sqs(notification(e)),
    "sns in sqs, raw": lambda e: in_sqs(e),
    "dead-lettered sns, moved to sqs": lambda e: in_sqs(in_sns(e)),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_every_record_of_every_envelope_is_developed(function, bucket, name):
    keys = [f"temp/envelopes/{name.replace(' ', '-').replace(',', '')} {n}+ü.jpg" for n in range(2)]
    for key in keys:
        put(bucket, key)
    wire = [key.replace("+", "%2B").replace(" ", "+").replace("ü", "%C3%BC") for key in keys]
    result = function().invoke(ENVELOPES[name](s3_event(BUCKET, *wire)))
    assert result.ok, result.body
    for key in keys:
        assert len(outputs(bucket, key.removeprefix("temp/").removesuffix(".jpg"))) == len(NAMES) + 1, key


@pytest.mark.parametrize("wrap", [lambda e: e, in_sqs], ids=["direct", "in sqs"])
def test_eventbridge_sends_keys_as_they_are(function, bucket, wrap):
    key = "temp/bridge/a+b %20c.jpg"
    put(bucket, key)
    assert function().invoke(wrap(eventbridge(BUCKET, key))).ok
    assert "image/bridge/a+b %20c_50x50.jpg" in outputs(bucket, "bridge/")


@pytest.mark.parametrize("event", [
    {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET},
    {"Records": [{**record(BUCKET, "temp/gone.jpg"), "eventName": "ObjectRemoved:Delete"}]},
    eventbridge(BUCKET, "temp/gone.jpg", "Object Deleted"),
    s3_event(BUCKET, "image/already.jpg"),
], ids=["test event", "removal", "bridge removal", "a variant"])
def test_what_is_no_upload_is_no_work(function, receiver, event):
    before = len(receiver.received)
    assert function().invoke(event).ok
    assert len(receiver.received) == before


def test_the_version_that_the_event_names_is_developed(function, seaweedfs):
    at = seaweedfs.bucket("versions")
    at.s3.put_bucket_versioning(Bucket=at.bucket, VersioningConfiguration={"Status": "Enabled"})
    old = at.s3.put_object(Bucket=at.bucket, Key="temp/versions.jpg", Body=PHOTO, ContentType="image/jpeg")["VersionId"]
    at.s3.put_object(Bucket=at.bucket, Key="temp/versions.jpg", Body=b"overwritten by a text", ContentType="text/plain")
    event = {"Records": [record(at.bucket, "temp/versions.jpg", versionId=old)]}
    result = function().invoke(event)
    assert result.ok and result.body["results"][0]["status"] == "completed", result.body


def test_only_the_bucket_of_the_configuration(function, bucket, receiver):
    put(bucket, "temp/elsewhere.jpg")
    before = len(receiver.received)
    result = function({"TINTYPE_STORE__URL": "s3://another-bucket"}).invoke(s3_event(BUCKET, "temp/elsewhere.jpg"))
    assert result.ok and result.body["results"][0]["status"] == "ignored"
    assert len(receiver.received) == before and not outputs(bucket, "elsewhere")


# --- repeats and failures ---------------------------------------------------------------------------------

def test_the_same_event_twice_is_one_piece_of_work_and_one_webhook_id(function, bucket, receiver):
    put(bucket, "temp/twice.jpg")
    deployed = function()
    first = deployed.invoke(s3_event(BUCKET, "temp/twice.jpg"))
    written = {key: (o["LastModified"], o["ETag"]) for key, o in outputs(bucket, "twice").items()}
    second = deployed.invoke(in_sns(s3_event(BUCKET, "temp/twice.jpg")))
    assert first.ok and second.ok and second.body["results"][0]["repeated"] is True
    assert {key: (o["LastModified"], o["ETag"]) for key, o in outputs(bucket, "twice").items()} == written
    ids = [c.webhook_id for c in callbacks(receiver, PATH + "twice.jpg/")]
    assert len(ids) == 2 and len(set(ids)) == 1
    assert (deployed.total("Completed"), deployed.total("Repeated")) == (1, 1)


def test_another_original_under_the_key_is_another_outcome(function, bucket, receiver):
    deployed = function()
    for seed in (1, 2):
        put(bucket, "temp/changed.jpg", corpus.save(corpus.photo(300, 200, seed), "JPEG"))
        assert deployed.invoke(s3_event(BUCKET, "temp/changed.jpg")).ok
    assert len({c.webhook_id for c in callbacks(receiver, PATH + "changed.jpg/")}) == 2
    assert deployed.total("Completed") == 2


def test_no_backend_hears_of_the_doctors_files(function, bucket, receiver):
    name = "tintype-doctor-0123456789ab"
    put(bucket, f"temp/{name}.png", corpus.save(corpus.photo(30, 20, 1), "PNG"), "image/png")
    before = len(receiver.received)
    assert function().invoke(s3_event(BUCKET, f"temp/{name}.png")).ok
    assert outputs(bucket, name) and len(receiver.received) == before


def test_a_backend_that_is_down_makes_aws_try_again(function, bucket, receiver):
    put(bucket, "temp/down.jpg")
    receiver.answer(PATH + "down.jpg/", 503, 302)
    deployed = function()
    results = [deployed.invoke(s3_event(BUCKET, "temp/down.jpg")) for _ in range(3)]
    assert [r.ok for r in results] == [False, False, True], "a redirect is no success"
    assert "503" in results[0].body["errorMessage"] and "temp/down.jpg" in results[0].body["errorMessage"]
    assert len({c.webhook_id for c in callbacks(receiver, PATH + "down.jpg/")}) == 1
    assert (deployed.total("Completed"), deployed.total("CallbacksFailed"), deployed.total("Repeated")) == (0, 2, 1)


def test_a_backend_that_is_gone_ends_it(function, bucket, receiver):
    put(bucket, "temp/gone.jpg")
    receiver.answer(PATH + "gone.jpg/", 410)
    assert function().invoke(s3_event(BUCKET, "temp/gone.jpg")).ok


def test_a_store_that_is_down_makes_aws_try_again_in_time(function, receiver):
    deployed = function({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"})
    before = len(receiver.received)
    result = deployed.invoke(s3_event(BUCKET, "temp/nowhere.jpg"), timeout=4)
    assert not result.ok and result.seconds < 4
    assert len(receiver.received) == before, "nothing is known of the original, so nothing is told"


def test_an_original_that_is_not_there_is_told(function, receiver):
    assert function().invoke(s3_event(BUCKET, "temp/missing.jpg")).ok
    assert callbacks(receiver, PATH + "missing.jpg/")[-1].verify()["error"]["code"] == "not_found"


def test_one_bad_record_is_passed_over_and_a_bad_event_fails(function, bucket):
    put(bucket, "temp/neighbour.jpg")
    event = s3_event(BUCKET, "temp/neighbour.jpg")
    event["Records"].insert(0, {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}})
    result = function().invoke(event)
    assert result.ok, result.body
    done = {one["status"]: one for one in result.body["results"]}
    assert done["completed"]["key"] == "temp/neighbour.jpg" and "missing field" in done["ignored"]["reason"]
    assert not function().invoke({"hello": "world"}).ok
    assert not function().invoke({"Records": event["Records"][:1]}).ok, "nothing of it could be read"


def test_a_batch_of_ten_gives_back_the_poisoned_message_alone(function, bucket, receiver):
    keys = [f"temp/batch/{n}.jpg" for n in range(8)]
    for key in keys:
        put(bucket, key)
    put(bucket, "temp/batch/text.jpg", b"a text", "text/plain")
    bodies = [s3_event(BUCKET, key) for key in [*keys, "temp/batch/text.jpg"]]
    bodies.insert(4, "poison: no JSON at all")
    deployed = function()
    result = deployed.invoke(in_sqs(*bodies))
    assert result.ok and result.body == {"batchItemFailures": [{"itemIdentifier": "m4"}]}
    assert len(outputs(bucket, "batch/")) == 8 * (len(NAMES) + 1)
    assert callbacks(receiver, PATH + "batch/text.jpg/")[-1].verify()["status"] == "failed"
    assert (deployed.total("Completed"), deployed.total("Rejected")) == (8, 1)


def test_a_batch_gives_back_what_its_backend_did_not_take(function, bucket, receiver):
    for n in range(3):
        put(bucket, f"temp/partly/{n}.jpg")
    receiver.answer(PATH + "partly/1.jpg/", 500)
    result = function().invoke(in_sqs(*[s3_event(BUCKET, f"temp/partly/{n}.jpg") for n in range(3)]))
    assert result.body == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


# --- limits ----------------------------------------------------------------------------------------------

def test_a_job_that_cannot_finish_says_timeout_before_it_is_killed(function, bucket, receiver):
    put(bucket, "temp/slow/big.jpg", corpus.save(corpus.photo(3000, 2000, 42), "JPEG"))
    deployed = function(memory=3000)
    (deployed.home / "tintype.toml").write_text("""
        [presets.slow]
        paths = ["temp/slow/"]
        variants = [{ name = "large", width = 3000, format = "avif" }]""")
    result = deployed.invoke(s3_event(BUCKET, "temp/slow/big.jpg"), timeout=3)
    assert result.ok and result.body["results"][0]["error"]["code"] == "timeout", result.body
    assert callbacks(receiver, PATH + "slow/big.jpg/")[-1].verify()["error"]["code"] == "timeout"


def test_an_image_that_the_functions_memory_cannot_hold_is_refused_not_killed(function, bucket, receiver):
    image = corpus.save(Image.new("RGB", (9000, 9000), "teal"), "WEBP", quality=10, method=0)
    put(bucket, "temp/large.webp", image, "image/webp")
    result = function(memory=128).invoke(s3_event(BUCKET, "temp/large.webp"))
    error = result.body["results"][0]["error"]
    assert error["code"] == "too_many_pixels" and "32" in error["message"], error


def test_a_wrong_configuration_says_everything_that_is_wrong(tmp_path):
    env = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9", "AWS_LAMBDA_FUNCTION_NAME": "f", "BLUR_RADIUS": "many",
           "TINTYPE_CALLBACK__SECRET_FROM": "my-secret", "PATH": "/usr/bin"}
    done = subprocess.run([BOOTSTRAP], env=env, capture_output=True, text=True, cwd=tmp_path, timeout=20)
    assert done.returncode == 2
    for part in ("variants.blur_radius", "callback.secret_from", "arn:aws:secretsmanager"):
        assert part in done.stderr, done.stderr


def test_a_private_address_is_not_called_unless_that_is_allowed(function, bucket, receiver):
    put(bucket, "temp/private.jpg")
    deployed = function({"TINTYPE_CALLBACK__ALLOW_PRIVATE": "false"})
    result = deployed.invoke(s3_event(BUCKET, "temp/private.jpg"))
    assert not result.ok and "private network" in result.body["errorMessage"]
    assert not callbacks(receiver, PATH + "private.jpg/")


def test_metrics_are_those_that_alarms_and_dashboard_read(function, bucket, receiver):
    put(bucket, "temp/metrics.jpg")
    put(bucket, "temp/metrics.txt", b"a text", "text/plain")
    receiver.answer(PATH + "metrics.jpg/", 500)
    deployed = function()
    for event in [s3_event(BUCKET, "temp/metrics.jpg")] * 2 + [s3_event(BUCKET, "temp/metrics.txt")]:
        deployed.invoke(event)
    put(bucket, "temp/metrics2.jpg")
    deployed.invoke(s3_event(BUCKET, "temp/metrics2.jpg"))
    blocks = [block for line in deployed.metrics() for block in line["_aws"]["CloudWatchMetrics"]]
    assert {(b["Namespace"], str(b["Dimensions"])) for b in blocks} == {("Tintype", "[['FunctionName']]")}
    units = {m["Name"]: m["Unit"] for b in blocks for m in b["Metrics"]}
    assert units == {**dict.fromkeys(["Completed", "Repeated", "Rejected", "Retried", "CallbacksFailed"], "Count"),
                     "Duration": "Milliseconds", "TimeUsed": "Percent", "OriginalBytes": "Bytes", "VariantBytes": "Bytes"}
    template = (REPO / "deploy/aws/template_new_bucket.yaml").read_text()
    alarms = re.findall(r"Namespace: Tintype\n +MetricName: (\w+)", template)
    shown = re.findall(r'\["(?:Tintype|\.)", "(\w+)", "(?:FunctionName|\.)"', template)
    read = {*alarms, *shown}
    ours = {name for name in read if not name.startswith("Approximate")} - {"Invocations", "Errors", "Throttles"}
    assert {"TimeUsed", "CallbacksFailed", "Rejected", "Completed"} <= ours <= units.keys()
    used = [line["TimeUsed"] for line in deployed.metrics() if "TimeUsed" in line]
    assert len(used) == 4 and all(0 < value < 100 for values in used for value in values)
    assert deployed.total("OriginalBytes") == len(PHOTO)


def test_neither_secret_is_ever_logged(function, bucket):
    put(bucket, "temp/quiet.jpg")
    deployed = function({"TINTYPE_LOG__LEVEL": "trace"})
    assert deployed.invoke(s3_event(BUCKET, "temp/quiet.jpg")).ok
    log = deployed.daemon.log.read_text(errors="replace")
    assert "completed" in log and SECRET not in log and s3.SECRET_KEY not in log


# --- the program itself --------------------------------------------------------------------------------

def test_it_runs_on_al2023_and_is_small(say):
    symbols = subprocess.run(["objdump", "-T", BOOTSTRAP], capture_output=True, text=True, check=True).stdout
    newest = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_(\d+\.\d+)", symbols))
    assert newest <= (2, 34), f"needs glibc {newest}"
    needed = re.findall(r"NEEDED\s+(\S+)", subprocess.run(["objdump", "-p", BOOTSTRAP], capture_output=True, text=True).stdout)
    assert set(needed) <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, needed
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        zipped.write(BOOTSTRAP, "bootstrap")
    say(f"{BOOTSTRAP.stat().st_size / 1e6:.1f} MB, zipped {len(out.getvalue()) / 1e6:.1f} MB, glibc {newest[0]}.{newest[1]}")
    assert len(out.getvalue()) < 10_000_000


# --- records that are judged alone, keys that would meet ----------------------------------------------------------------

@pytest.mark.parametrize("wrap", [lambda event: event, in_sns, in_sqs, lambda event: in_sqs(notification(event))], ids=["s3", "sns", "sqs", "sns in sqs"])
def test_a_record_that_names_no_object_holds_nobody_back(function, bucket, receiver, wrap):
    good = [f"temp/alone/{n}.jpg" for n in range(2)]
    for key in good:
        put(bucket, key)
    odd = ["temp/folder/", "temp//double.jpg", "temp/..%2Fup.jpg", "temp/" + "x" * 1100]
    before = len(callbacks(receiver, "alone/"))
    result = function().invoke(wrap(s3_event(BUCKET, good[0], *odd, good[1])))
    assert result.ok, result.body
    assert len(callbacks(receiver, "alone/")) == before + 2
    assert set(outputs(bucket, "alone/0")) and set(outputs(bucket, "alone/1"))
    if "results" in result.body:
        told = {one["key"]: one for one in result.body["results"]}
        assert {told[key]["status"] for key in good} == {"completed"} and len(told) == 6
        assert told["temp/folder/"] == {"key": "temp/folder/", "status": "ignored", "reason": "it is a folder, not an image"}
    else:
        assert result.body == {"batchItemFailures": []}


@pytest.mark.parametrize("name", ["a.jpg.manifest.json", "a_50x50.jpg", "a.JPG"])
def test_an_original_that_would_replace_anothers_outputs_is_refused(function, bucket, receiver, name):
    deployed, below = function(), f"meet-{name[1:4].strip('._')}"
    put(bucket, f"temp/{below}/a.jpg")
    assert deployed.invoke(s3_event(BUCKET, f"temp/{below}/a.jpg")).ok
    before = {key: found["ETag"] for key, found in outputs(bucket, below).items()}
    put(bucket, f"temp/{below}/{name}", corpus.save(corpus.photo(300, 200, 5), "JPEG"))
    result = deployed.invoke(s3_event(BUCKET, f"temp/{below}/{name}"))
    assert result.ok and result.body["results"][0]["error"]["code"] == "key_conflict", result.body
    assert {key: found["ETag"] for key, found in outputs(bucket, below).items()} == before and len(before) == 9
    told = callbacks(receiver, f"{below}/{name}")
    assert [(t.body["status"], t.body["error"]["code"]) for t in told] == [("failed", "key_conflict")]
