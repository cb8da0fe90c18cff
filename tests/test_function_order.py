"""The function beside itself: events of one key in any order, twice, in two instances, cut off, of originals that are gone."""
import threading
import time
import uuid

import pytest

import corpus
from support import s3, sets
from support.flaky import Flaky
from support.function import Function, Killed, in_sqs, record
from support.receiver import SECRET, Receiver
from torture.function import burn

BUCKET = "ordered"
PATH = "/ordered/"


def picture(seed: int, size: tuple = (400, 300)) -> bytes:
    """Noise of one size as BMP: of the same number of bytes as any other, and so are most of its variants."""
    return corpus.save(corpus.photo(*size, seed), "BMP")


@pytest.fixture(scope="module")
def bucket(seaweedfs):
    return seaweedfs.bucket(BUCKET)


@pytest.fixture(scope="module")
def versions(seaweedfs):
    at = seaweedfs.bucket("ordered-versions")
    at.s3.put_bucket_versioning(Bucket=at.bucket, VersioningConfiguration={"Status": "Enabled"})
    return at


@pytest.fixture
def function(tmp_path, bucket, receiver):
    deployed, proxies = [], []

    def deploy(env: dict | None = None, refuse=None, **options) -> Function:
        endpoint = bucket.endpoint
        if refuse:
            proxies.append(Flaky(endpoint, refuse))
            endpoint = proxies[-1].endpoint
        told = {"CALLBACK_URL": receiver.url + PATH + "{key}/", "TINTYPE_CALLBACK__SECRET": SECRET,
                "TINTYPE_CALLBACK__ALLOW_PRIVATE": "true", "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY, "AWS_REGION": s3.REGION}
        deployed.append(Function(tmp_path / f"f{len(deployed)}", told | (env or {}), **options))
        return deployed[-1]

    yield deploy
    for proxy in proxies:
        proxy.release()
    for one in deployed:
        one.stop()
    for proxy in proxies:
        proxy.stop()


def put(bucket, key: str, data: bytes, **metadata) -> dict:
    answer = bucket.s3.put_object(Bucket=bucket.bucket, Key=key, Body=data, ContentType="image/bmp", Metadata=metadata)
    return {"eTag": answer["ETag"].strip('"'), **({"versionId": answer["VersionId"]} if "VersionId" in answer else {})}


def event(bucket, key: str, order: int, **state) -> dict:
    return {"Records": [record(bucket.bucket, key, **state | {"sequencer": f"{order:016X}"})]}


def told(receiver, key: str) -> list:
    return [r for r in receiver.received if r.path == f"{PATH}{key.removeprefix('temp/')}/"]


def holds(bucket, output: str, data: bytes) -> dict:
    manifest = sets.manifest(bucket, output)
    assert manifest and manifest["original"]["sha256"] == sets.sha256(data), manifest
    assert sets.foreign(bucket, manifest) == []
    return manifest


def claims(bucket, name: str) -> list:
    found = bucket.s3.list_objects_v2(Bucket=bucket.bucket, Prefix=f"image/{name}").get("Contents", [])
    return [o["Key"] for o in found if o["Key"].endswith(".in-work")]


# --- order -----------------------------------------------------------------------------------------------

def test_an_older_version_that_comes_late_or_twice_changes_nothing(function, versions, receiver):
    key, (one, two) = "temp/late.bmp", (picture(1), picture(2))
    first, second = put(versions, key, one, n="1"), put(versions, key, two, n="2")
    deployed = function()
    for order, state in ((1, first), (2, second), (1, first)):
        assert deployed.invoke(event(versions, key, order, **state)).ok
    assert [t.verify()["metadata"]["n"] for t in told(receiver, key)] == ["1", "2"]
    manifest = holds(versions, "image/late.bmp", two)
    assert (manifest["original"]["version"], manifest["original"]["sequencer"]) == (second["versionId"], f"{2:016X}")
    result = deployed.invoke(event(versions, key, 1, **first))
    assert result.body["results"][0] == {"key": key, "status": "ignored", "reason": "a newer state of it is known"}


def test_without_an_order_the_store_says_which_version_is_the_newest(function, versions, receiver):
    key, (one, two) = "temp/unordered.bmp", (picture(3), picture(4))
    first, second = put(versions, key, one), put(versions, key, two)
    deployed = function()
    for state in (second, first):
        assert deployed.invoke({"Records": [{**record(versions.bucket, key), "s3": {
            "bucket": {"name": versions.bucket}, "object": {"key": key, **state}}}]}).ok
    holds(versions, "image/unordered.bmp", two)
    assert len(told(receiver, key)) == 1


def test_a_failure_of_an_older_version_is_not_told(function, versions, receiver):
    key, good = "temp/older-text.bmp", picture(5)
    bad, state = put(versions, key, b"no image"), put(versions, key, good)
    deployed = function()
    assert deployed.invoke(event(versions, key, 2, **state)).ok
    assert deployed.invoke(event(versions, key, 1, **bad)).body["results"][0]["status"] == "ignored"
    assert [t.verify()["status"] for t in told(receiver, key)] == ["completed"]
    holds(versions, "image/older-text.bmp", good)


def test_a_newer_version_that_is_no_image_leaves_nothing_of_the_older(function, versions, receiver):
    key = "temp/newer-text.bmp"
    good, bad = put(versions, key, picture(6)), put(versions, key, b"no image", why="test")
    deployed = function()
    assert deployed.invoke(event(versions, key, 1, **good)).ok
    assert deployed.invoke(event(versions, key, 2, **bad)).ok
    last = told(receiver, key)[-1].verify()
    assert (last["status"], last["metadata"]) == ("failed", {"why": "test"})
    found = versions.s3.list_objects_v2(Bucket=versions.bucket, Prefix="image/newer-text").get("Contents", [])
    # What is left says which state failed, for older ones that may be told of.
    assert [o["Key"] for o in found] == ["image/newer-text.in-work"]


def test_an_older_version_that_comes_after_a_newer_one_that_failed_changes_nothing(function, versions, receiver):
    key = "temp/failed-first.bmp"
    good, bad = put(versions, key, picture(22)), put(versions, key, b"no image")
    deployed = function()
    assert deployed.invoke(event(versions, key, 2, **bad)).ok
    assert deployed.invoke(event(versions, key, 1, **good)).body["results"][0]["status"] == "ignored"
    assert [t.verify()["status"] for t in told(receiver, key)] == ["failed"]
    newest = picture(23)
    assert deployed.invoke(event(versions, key, 3, **put(versions, key, newest))).ok
    holds(versions, "image/failed-first.bmp", newest)


def test_a_failure_is_remembered_while_another_of_such_names_is_worked_on(function, versions, receiver):
    """Both write under `image/shared`, so they share a claim; what is known of one is not the other's to forget."""
    key, other = "temp/shared.bmp", "temp/shared.png"
    good, bad = put(versions, key, picture(24)), put(versions, key, b"no image")
    deployed = function()
    assert deployed.invoke(event(versions, key, 1, **good)).ok
    assert deployed.invoke(event(versions, key, 2, **bad)).ok
    for order, data in ((3, b"no image either"), (4, picture(25))):
        assert deployed.invoke(event(versions, other, order, **put(versions, other, data))).ok
        assert deployed.invoke(event(versions, key, 1, **good)).body["results"][0]["status"] == "ignored"
    assert [t.verify()["status"] for t in told(receiver, key)] == ["completed", "failed"]
    assert [t.verify()["status"] for t in told(receiver, other)] == ["failed", "completed"]


def test_a_claim_that_nobody_wrote_holds_up_no_event(function, bucket):
    key = "temp/foreign-claim.bmp"
    bucket.s3.put_object(Bucket=bucket.bucket, Key="image/foreign-claim.in-work", Body=bytes(100_000))
    deployed = function()
    assert deployed.invoke(event(bucket, key, 1, **put(bucket, key, picture(26)))).body["results"][0]["status"] == "completed"


def test_an_upload_by_its_name_is_its_first_bytes(function, bucket, receiver):
    upload, one, two = uuid.uuid4().hex, picture(7), picture(8)
    key, deployed = f"temp/{upload}", function()
    first = put(bucket, key, one)
    assert deployed.invoke(event(bucket, key, 1, **first)).ok
    for data in (two, corpus.save(corpus.photo(50, 50, 9), "PNG"), b"no image"):
        state = put(bucket, key, data)
        answer = deployed.invoke(event(bucket, key, 2, **state)).body["results"][0]
        assert answer == {"key": key, "status": "ignored", "reason": "the first bytes under its credential are kept"}
    assert [t.verify()["status"] for t in told(receiver, key)] == ["completed"]
    holds(bucket, f"image/{upload}.bmp", one)
    replaceable = function({"TINTYPE_UPLOAD__REPLACEABLE": "true"})
    assert replaceable.invoke(event(bucket, key, 3, **put(bucket, key, two))).ok
    holds(bucket, f"image/{upload}.bmp", two)


# --- ids -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ordered", [True, False], ids=["sequencer", "etag and time alone"])
def test_each_state_has_an_id_of_its_own_and_each_repeat_the_same(function, bucket, receiver, ordered):
    key, (a, b), bad = f"temp/aba-{ordered}.bmp", (picture(10), picture(11)), b"no image"
    deployed, ids = function(), []
    states = [(a, {}), (b, {}), (a, {}), (a, {"new": "1"}), (bad, {}), (a, {}), (bad, {}), (b"none either", {}), (bad, {})]
    for order, (data, metadata) in enumerate(states, 1):
        state = put(bucket, key, data, **metadata)
        notice = event(bucket, key, order, **state)
        if not ordered:
            del notice["Records"][0]["s3"]["object"]["sequencer"]
        for _ in range(2):
            assert deployed.invoke(notice).ok
        last = told(receiver, key)[-2:]
        assert last[0].webhook_id == last[1].webhook_id and last[1].verify()["metadata"] == metadata
        ids.append(last[0].webhook_id)
    assert len(set(ids)) == len(states), "a backend that keeps ids would stay at another state"


@pytest.mark.parametrize("kept", [True, False], ids=["versions", "no versions"])
def test_a_failure_keeps_its_place_in_the_order(function, bucket, versions, receiver, kept):
    """An older event changes nothing after it, whether its object is there again or none is; its own tells it again."""
    at, deployed, good = versions if kept else bucket, function(), picture(20)
    for key, again in (("temp/back.bmp", True), ("temp/expired-failure.bmp", False)):
        first = event(at, key, 1, **put(at, key, good))
        assert deployed.invoke(first).ok
        second = event(at, key, 2, **put(at, key, b"no image"))
        assert deployed.invoke(second).ok
        if again:
            put(at, key, good)
        else:
            at.s3.delete_object(Bucket=at.bucket, Key=key)
        before = len(told(receiver, key))
        assert deployed.invoke(first).ok and len(told(receiver, key)) == before, "older news was told"
        if not again:
            assert deployed.invoke(second).ok
            one, other = told(receiver, key)[-2:]
            assert one.webhook_id == other.webhook_id and other.verify()["error"]["code"] == "unsupported_format"


def test_without_versions_an_event_is_told_from_its_seal(function, bucket, receiver):
    """The same bytes were put since with other metadata: those have an event of their own."""
    key, deployed = "temp/same-bytes.bmp", function()
    first = event(bucket, key, 1, **put(bucket, key, picture(21), who="one"))
    assert deployed.invoke(first).ok
    second = event(bucket, key, 2, **put(bucket, key, picture(21), who="two"))
    for notice in (first, second):
        assert deployed.invoke(notice).ok
    assert [t.verify()["metadata"]["who"] for t in told(receiver, key)] == ["one", "one", "two"]
    assert len({t.webhook_id for t in told(receiver, key)}) == 2


@pytest.mark.parametrize("lost", ["image/lied-to_50x50.bmp", "image/lied-to.bmp.manifest.json"])
def test_a_store_that_only_says_that_it_wrote_is_not_believed(function, bucket, receiver, lost):
    """Once: it is written again. Always: nothing is told, and the event comes again."""
    key, lies = f"temp/lied-to-{'manifest' in lost}.bmp", [1]
    lost = lost.replace("lied-to", key[5:-4])
    notice = event(bucket, key, 1, **put(bucket, key, picture(18)))

    def lie(method, name):
        if method == "PUT" and name == lost and lies[0] > 0:
            lies[0] -= 1
            return "forget"
        return None

    deployed = function(refuse=lie)
    lies[0] = 100
    assert not deployed.invoke(notice).ok and not told(receiver, key)
    lies[0] = 1
    assert deployed.invoke(notice).ok
    assert told(receiver, key)[-1].verify()["status"] == "completed"
    holds(bucket, key.replace("temp/", "image/"), picture(18))


def test_a_store_that_only_says_that_it_deleted_is_not_believed(function, bucket, receiver):
    """What the public can read of a failure is nothing, before it is told."""
    key, lies = "temp/kept.bmp", [True]
    refuse = lambda method, name: lies[0] and method == "DELETE" and name == "image/kept_50x50.bmp" and "forget"
    deployed = function(refuse=refuse)
    assert deployed.invoke(event(bucket, key, 1, **put(bucket, key, picture(23)))).ok
    failing = event(bucket, key, 2, **put(bucket, key, b"no image"))
    assert not deployed.invoke(failing).ok and len(told(receiver, key)) == 1
    lies[0] = False
    assert deployed.invoke(failing).ok
    assert told(receiver, key)[-1].verify()["error"]["code"] == "unsupported_format"
    left = bucket.s3.list_objects_v2(Bucket=bucket.bucket, Prefix="image/kept").get("Contents", [])
    assert [one["Key"] for one in left if not one["Key"].endswith(".in-work")] == []


def test_without_an_order_a_set_that_is_made_again_is_told_alike(function, bucket, receiver):
    """Something of it was lost: the outcome is the same, and so is its id."""
    key = "temp/lost-variant.bmp"
    notice = event(bucket, key, 1, **put(bucket, key, picture(17)))
    del notice["Records"][0]["s3"]["object"]["sequencer"]
    deployed = function()
    assert deployed.invoke(notice).ok
    bucket.s3.delete_object(Bucket=bucket.bucket, Key="image/lost-variant_50x50.bmp")
    assert deployed.invoke(notice).ok and deployed.total("Completed") == 2
    assert len({t.webhook_id for t in told(receiver, key)}) == 1


def test_the_same_bytes_again_are_no_pixel_work_but_another_outcome(function, versions, receiver):
    """A, B, A of which the second A comes before B."""
    key, (a, b) = "temp/again.bmp", (picture(12), picture(13))
    states = [put(versions, key, data) for data in (a, b, a)]
    deployed = function()
    for n in (0, 2, 1):
        assert deployed.invoke(event(versions, key, n + 1, **states[n])).ok
    assert deployed.total("Completed") == 1 and deployed.total("Repeated") == 1
    assert len({t.webhook_id for t in told(receiver, key)}) == 2
    assert holds(versions, "image/again.bmp", a)["original"]["version"] == states[2]["versionId"]


# --- what is sealed needs no original ------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["temp/expired.bmp", f"temp/{uuid.uuid4().hex}"], ids=["own key", "by its name"])
def test_a_redrive_after_the_original_has_expired_tells_what_is_sealed(function, bucket, receiver, key):
    data = picture(14)
    notice = event(bucket, key, 1, **put(bucket, key, data, id="77"))
    receiver.answer(f"{PATH}{key.removeprefix('temp/')}/", 503)
    deployed = function()
    assert not deployed.invoke(notice).ok
    bucket.s3.delete_object(Bucket=bucket.bucket, Key=key)
    assert deployed.invoke(notice).ok
    first, second = told(receiver, key)
    body = second.verify()
    assert (body["status"], body["metadata"], first.webhook_id) == ("completed", {"id": "77"}, second.webhook_id)
    assert first.body == second.body


def test_an_original_that_never_was_is_not_found_and_says_that_its_metadata_is_unknown(function, bucket, receiver):
    key = "temp/never.bmp"
    assert function().invoke(event(bucket, key, 1, eTag="0" * 32)).ok
    body = told(receiver, key)[-1].verify()
    assert body["error"]["code"] == "not_found" and body["metadata"] is None


def test_metadata_of_a_failure_is_that_of_the_version_that_failed(function, versions, receiver):
    key = "temp/metadata.bmp"
    bad = put(versions, key, b"no image", which="first")
    put(versions, key, b"another", which="second")
    assert function().invoke(event(versions, key, 1, **bad)).ok
    assert told(receiver, key)[-1].verify()["metadata"] == {"which": "first"}


def test_metadata_that_cannot_be_asked_for_is_no_empty_metadata(function, bucket, receiver):
    """Too large to be read, and then the store fails: the event comes again."""
    key = "temp/too-large.bmp"
    notice = event(bucket, key, 1, **put(bucket, key, picture(15, (800, 600)), id="5"))
    failing = [True]
    refuse = lambda method, key: method == "HEAD" and key.endswith("too-large.bmp") and failing[0] and 403
    deployed = function({"TINTYPE_UPLOAD__MAX_BYTES": "1000"}, refuse)
    assert not deployed.invoke(notice).ok and not told(receiver, key)
    failing[0] = False
    assert deployed.invoke(notice).ok
    body = told(receiver, key)[-1].verify()
    assert (body["error"]["code"], body["metadata"]) == ("too_large", {"id": "5"})


def test_nothing_is_waited_for_past_the_end(function, bucket, receiver):
    key = "temp/hanging.bmp"
    notice = event(bucket, key, 1, **put(bucket, key, picture(16, (800, 600))))
    deployed = function({"TINTYPE_UPLOAD__MAX_BYTES": "1000"},
                        lambda method, key: method == "HEAD" and key.endswith("hanging.bmp") and "hang")
    try:
        assert not deployed.invoke(notice, timeout=6).ok
    except Killed:
        pytest.fail("it waited until it was killed")


# --- one key is one piece of work ----------------------------------------------------------------------------

def slow_writes(method, key):
    """So that two sets are written at the same time, if anything lets them."""
    return method == "PUT" and key.startswith("image/") and key.endswith(".bmp") and 0.05 + (hash(key) % 10) / 50


def test_two_versions_in_one_batch_are_two_sets_one_after_the_other(function, versions, receiver):
    deployed, newest = function(refuse=slow_writes), {}
    for n in range(5):
        key, (one, two) = f"temp/batch/{n}.bmp", (picture(100 + n), picture(200 + n))
        states = [put(versions, key, data) for data in (one, two)]
        newest[key] = two
        messages = [event(versions, key, order, **state) for order, state in enumerate(states, 1)]
        answer = deployed.invoke(in_sqs(*(messages if n % 2 else messages[::-1])))
        assert answer.body == {"batchItemFailures": []}, answer.body
    for key, data in newest.items():
        holds(versions, key.replace("temp/", "image/"), data)
        assert told(receiver, key)[-1].verify()["original"]["sha256"] == sets.sha256(data)
    assert claims(versions, "batch/") == []


def test_two_instances_do_not_mix_their_sets(function, bucket, receiver):
    """Without versions: the one that reads the older bytes is overtaken by the one that reads the newer."""
    key, (one, two) = "temp/instances.bmp", (picture(17), picture(18))
    slow = threading.Event()
    begun = threading.Event()

    def first(method, key):
        if method == "PUT" and key.startswith("image/instances") and key.endswith(".bmp"):
            begun.set()
            return slow
    older, newer = function(refuse=first), function()
    notices = [event(bucket, key, 1, **put(bucket, key, one))]
    results = []
    work = threading.Thread(target=lambda: results.append(older.invoke(notices[0], timeout=30)))
    work.start()
    assert begun.wait(20)
    notices.append(event(bucket, key, 2, **put(bucket, key, two)))
    threading.Timer(2, slow.set).start()
    second = newer.invoke(notices[1], timeout=30)
    work.join()
    for instance, notice, result in ((older, notices[0], results[0]), (newer, notices[1], second)):
        for _ in range(5):
            if result.ok:
                break
            result = instance.invoke(notice, timeout=30)  # as AWS would
        assert result.ok, result.body
    holds(bucket, "image/instances.bmp", two)
    assert told(receiver, key)[-1].verify()["original"]["sha256"] == sets.sha256(two)


@pytest.mark.parametrize("instances", [1, 2])
def test_of_two_originals_that_would_be_one_the_first_has_the_names(function, bucket, receiver, instances):
    """`a.bmp` and `a.BMP`, in one event and in two instances at once."""
    deployed = [function(refuse=slow_writes) for _ in range(instances)]
    for one in deployed:
        one.start()  # a process ends with the thread that started it
    for n in range(4):
        keys = [f"temp/meet{instances}/{n}.bmp", f"temp/meet{instances}/{n}.BMP"]
        notices = [event(bucket, key, 1, **put(bucket, key, picture(300 + 2 * n + which))) for which, key in enumerate(keys)]
        if instances == 1:
            assert deployed[0].invoke(in_sqs(*notices)).body == {"batchItemFailures": []}
        else:
            def invoke(one, notice):
                while not one.invoke(notice, timeout=30).ok:  # as AWS would
                    pass
            threads = [threading.Thread(target=invoke, args=pair) for pair in zip(deployed, notices, strict=True)]
            [t.start() for t in threads]
            [t.join() for t in threads]
        bodies = [told(receiver, key)[-1].verify() for key in keys]
        assert sorted(body["status"] for body in bodies) == ["completed", "failed"], bodies
        lost, = [body for body in bodies if body["status"] == "failed"]
        assert lost["error"]["code"] == "key_conflict"
        won, = [body for body in bodies if body["status"] == "completed"]
        assert sets.foreign(bucket, won) == []
    assert claims(bucket, f"meet{instances}/") == []


def test_a_key_too_long_for_what_is_made_of_it_is_told_and_holds_up_no_neighbour(function, bucket, receiver):
    good = "temp/neighbour.bmp"
    folders = "/".join(["f" * 199] * 5)  # SeaweedFS takes names of 255 bytes
    long = [f"temp/{folders}/{'x' * (length - 1009)}.bmp" for length in (1010, 1017, 1019)]
    notices = [event(bucket, key, 1, **put(bucket, key, picture(50))) for key in (*long, good)]
    before = claims(bucket, "")
    assert function().invoke(in_sqs(*notices)).body == {"batchItemFailures": []}
    assert [told(receiver, key)[-1].verify()["error"]["code"] for key in long] == ["invalid_request"] * 3
    assert told(receiver, good)[-1].verify()["status"] == "completed"
    assert claims(bucket, "") == before


def test_a_claim_that_a_killed_instance_left_is_taken_over(function, bucket, receiver):
    key, data = "temp/killed.bmp", picture(19)
    notice = event(bucket, key, 1, **put(bucket, key, data))
    held, reached = threading.Event(), threading.Event()

    def refuse(method, key):
        if method == "PUT" and key.endswith("killed.bmp.manifest.json"):
            reached.set()
            return held
    deployed = function(refuse=refuse)
    kill = threading.Thread(target=lambda: reached.wait(20) and deployed.daemon.kill())
    kill.start()
    with pytest.raises(Killed):
        deployed.invoke(notice, timeout=8)
    kill.join()
    assert claims(bucket, "killed") == ["image/killed.in-work"]
    held.set()
    other = function()
    for _ in range(10):
        if (result := other.invoke(notice, timeout=10)).ok:
            break
    assert result.ok, result.body
    holds(bucket, "image/killed.bmp", data)
    assert claims(bucket, "killed") == [] and told(receiver, key)[-1].verify()["status"] == "completed"


# --- a store that lies ---------------------------------------------------------------------------------------

def test_a_body_cut_short_is_read_again(function, bucket, receiver):
    key, data = "temp/short.bmp", picture(20)
    notice = event(bucket, key, 1, **put(bucket, key, data))
    short = [1]

    def refuse(method, key):
        if method == "GET" and key == "temp/short.bmp" and short[0]:
            short[0] -= 1
            return "short"
    deployed = function(refuse=refuse)
    assert deployed.invoke(notice).ok
    holds(bucket, "image/short.bmp", data)
    # Again and again: it may pass, and is not the original's fault.
    key = "temp/always-short.jpg"
    notice = event(bucket, key, 1, **put(bucket, key, corpus.save(corpus.photo(300, 200, 1), "JPEG")))
    lying = function(refuse=lambda method, key: method == "GET" and key == "temp/always-short.jpg" and "short")
    result = lying.invoke(notice)
    assert not result.ok and "entity tag" in result.body["errorMessage"], result.body
    assert not told(receiver, key)


def test_a_store_that_knows_no_conditions_is_named_and_worked_with(function, bucket, receiver):
    key, data = "temp/unconditional.bmp", picture(21)
    notice = event(bucket, key, 1, **put(bucket, key, data))
    deployed = function(refuse=lambda method, key, headers: method == "PUT" and "If-None-Match" in headers and 501)
    assert deployed.invoke(notice).ok
    holds(bucket, "image/unconditional.bmp", data)
    assert "the store ignores conditions" in deployed.daemon.log.read_text(errors="replace")
    assert deployed.invoke(notice).body["results"][0]["repeated"] is True
    assert claims(bucket, "unconditional") == []


# --- under fire ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("versioned", [True, False], ids=["versions", "no versions"])
def test_under_fire_each_key_ends_as_its_newest_state(tmp_path, seaweedfs, say, versioned):
    """tests/torture/function.py with few events."""
    at, backend = seaweedfs.bucket(f"fire-{versioned}".lower()), Receiver()
    if versioned:
        at.s3.put_bucket_versioning(Bucket=at.bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        wrong, line = burn(tmp_path, at, backend, events=60, instances=2, seed=7, kills=0.05)
    finally:
        backend.stop()
    say(line)
    assert wrong == []
