"""deploy/aws/manual.md, run as it is printed, on a local AWS; and events/*.json, each given to the real function."""
import json
import re

import pytest

import corpus
from support import s3
from support.function import Function, s3_event
from support.ministack import DEPLOY, MiniStack
from support.pillow import NAMES
from support.process import wait_for
from support.receiver import SECRET

PHOTO = corpus.save(corpus.photo(400, 300, 51), "JPEG", quality=85)
KEYS = ["temp/corgi.jpg", *(f"temp/batch/{n}.jpg" for n in range(10))]


def shell_blocks(text: str) -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))


def test_the_manual_way(tmp_path, receiver):
    setup, away = map(shell_blocks, (DEPLOY / "manual.md").read_text().split("## All of it away again"))
    assert (DEPLOY / "tintype-lambda.zip").exists(), "deploy/aws/build makes it"
    setup = setup.removeprefix("deploy/aws/build\n")  # as ./test did
    names = set(re.findall(r"^([A-Z_]+)=", setup, re.M))
    (tmp_path / "corgi.jpg").write_bytes(PHOTO)
    aws = MiniStack(tmp_path / "ministack")
    try:
        said = aws.shell(f"export BUCKET=by-hand FUNCTION=ByHand CALLBACK_URL='{receiver.url}/by-hand/{{key}}/' "
                         f"CALLBACK_ALLOW_PRIVATE=true PHOTO={tmp_path}/corgi.jpg\n"
                         f"{setup}\ndeclare -p {' '.join(names)} >{tmp_path}/names")
        assert "corgi_400x400_blurred.jpg" in said, said
        told = wait_for("callback", lambda: [r for r in receiver.received if r.path == "/by-hand/corgi.jpg/"])[0]
        secret = aws.client("secretsmanager").get_secret_value(SecretId="ByHand-callback")["SecretString"]
        body = told.verify(secret)
        assert (body["status"], body["metadata"], len(body["variants"])) == ("completed", {"id": "12345"}, len(NAMES))
        queue = aws.client("sqs").get_queue_url(QueueName="ByHand-queue")["QueueUrl"]
        aws.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(s3_event("by-hand", "temp/corgi.jpg")))
        wait_for("callback again", lambda: len([r for r in receiver.received if r.path == "/by-hand/corgi.jpg/"]) == 2)

        aws.shell(f". {tmp_path}/names\n{away}")
        assert not aws.client("s3").list_buckets()["Buckets"]
        assert not aws.client("lambda").list_functions()["Functions"]
        assert not aws.client("sqs").list_queues().get("QueueUrls")
        assert not [role for role in aws.client("iam").list_roles()["Roles"] if "ByHand" in role["RoleName"]]
    finally:
        aws.stop()


# --- events -----------------------------------------------------------------------------------------------

EVENTS = sorted(path.name for path in (DEPLOY / "events").glob("*.json"))


@pytest.fixture(scope="module")
def function(tmp_path_factory, seaweedfs):
    at = seaweedfs.bucket("events")
    for key in KEYS:
        at.s3.put_object(Bucket=at.bucket, Key=key, Body=PHOTO, ContentType="image/jpeg")
    deployed = Function(tmp_path_factory.mktemp("events"), {
        "TINTYPE_CALLBACK__SECRET": SECRET, "AWS_ENDPOINT_URL": at.endpoint, "AWS_REGION": s3.REGION,
        "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY})
    deployed.start()
    yield deployed
    deployed.stop()


@pytest.mark.parametrize("name", EVENTS)
def test_every_sample_event_is_understood(function, name):
    event = (DEPLOY / "events" / name).read_text().replace("example-bucket", "events")
    before = function.total("Completed") + function.total("Repeated")
    result = function.invoke(event)
    assert result.ok and not result.body.get("batchItemFailures"), result.body
    done = function.total("Completed") + function.total("Repeated") - before
    assert done == {"test-event.json": 0, "batch.json": 10}.get(name, 1), result.body
