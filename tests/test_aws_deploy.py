"""The templates, deployed on a local AWS that runs the real function: every trigger, both buckets, with and without SAM.

It speaks TLS alone, checks signatures and policies, and has the function do what its role may and no more."""
import io
import json
import re
from dataclasses import dataclass

import boto3
import pytest
import requests
from PIL import Image

import corpus
from conftest import DATA
from support import tintype
from support.function import record
from support.ministack import DEPLOY, MiniStack
from support.pillow import NAMES, expected_sizes
from support.process import wait_for
from support.receiver import SECRET

CORGI = DATA / "corgi.jpg"
TRIGGERS = ["S3", "SNS", "SQS", "EventBridge"]
STACKS = [*[("template_new_bucket", t) for t in TRIGGERS], *[("template_existing_bucket", t) for t in TRIGGERS],
          ("cloudformation/template_new_bucket", "S3"), ("cloudformation/template_existing_bucket", "SQS")]
METADATA = {"id": "12345", "owner": "user-7"}


@dataclass
class Stack:
    aws: MiniStack
    bucket: str
    outputs: dict
    receiver: object
    tries: int = 1

    @property
    def s3(self):
        return self.aws.client("s3")

    @property
    def secret(self) -> str:
        return self.aws.client("secretsmanager").get_secret_value(SecretId=self.outputs["SecretArn"])["SecretString"]

    def upload(self, key: str, data: bytes, content_type: str = "image/jpeg") -> None:
        """As boto3's documentation tells to presign and to send a POST."""
        fields = {"Content-Type": content_type, "acl": "bucket-owner-full-control",
                  **{f"x-amz-meta-{name}": value for name, value in METADATA.items()}}
        form = self.s3.generate_presigned_post(self.bucket, key, fields, [{n: v} for n, v in fields.items()])
        answer = requests.post(form["url"], data=form["fields"], files={"file": ("photo", data, content_type)}, timeout=60,
                               verify=self.aws.trusted)
        assert answer.status_code == 204, answer.text

    def event(self, key: str) -> dict:
        """The store's event of an original that is done, once more: it names the state that was sealed."""
        sealed = json.loads(self.s3.get_object(Bucket=self.bucket, Key=f"image/{key}.manifest.json")["Body"].read())["original"]
        names = {"eTag": "etag", "versionId": "version", "sequencer": "sequencer"}
        return {"Records": [record(self.bucket, f"temp/{key}", **{name: sealed.get(of) for name, of in names.items()})]}

    def told(self, key: str, answered: int = 200) -> list:
        return [r for r in self.receiver.received if r.path == f"/{self.bucket}/{key}/" and r.answered == answered]

    def wait(self, key: str) -> dict:
        """The callback, its signature checked with the secret that the stack made."""
        return wait_for(f"callback of {key}", lambda: self.told(key), 30)[0].verify(self.secret)

    def depth(self, which: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        queue = self.aws.client("sqs").get_queue_attributes(QueueUrl=self.outputs[which], AttributeNames=names)
        return sum(int(queue["Attributes"][name]) for name in names)

    def written(self, prefix: str) -> dict:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"image/{prefix}").get("Contents", [])
        return {o["Key"]: (o["LastModified"], o["ETag"]) for o in found}


@pytest.fixture(scope="module")
def aws(tmp_path_factory, packed):
    server = MiniStack(tmp_path_factory.mktemp("ministack"), strict=True, tls=True)
    yield server
    server.stop()


@pytest.fixture(scope="module", params=STACKS, ids=lambda p: f"{p[0]}-{p[1]}")
def stack(request, aws, receiver):
    template, trigger = request.param
    name = re.sub("[^a-z0-9]+", "-", f"{template}-{trigger}".lower().replace("template_", "").replace("cloudformation/", "plain-"))
    parameters = {
        "SourceImageBucketName": f"tt-{name}", "LambdaFunctionName": f"tt-{name}", "Trigger": trigger,
        "CallbackUrl": f"{receiver.url}/tt-{name}/{{key}}/", "CallbackAllowPrivate": "true",
        # Each try from a queue costs the tests its visibility timeout: one stack shows that there are more than one.
        "MaxReceiveCount": 2 if (template, trigger) == STACKS[2] else 1, "Timeout": 3, "QueueVisibilityTimeout": 3}
    if "cloudformation" in template:
        aws.aws("s3", "mb", f"s3://code-{name}")
        aws.aws("s3", "cp", DEPLOY / "tintype-lambda.zip", f"s3://code-{name}/tintype-lambda.zip")
        parameters["CodeBucket"] = f"code-{name}"
    if "existing" in template:
        aws.bucket(f"tt-{name}")
    outputs = aws.deploy(DEPLOY / f"{template}.yaml", name, **parameters)
    if "existing" in template:
        attach(aws, f"tt-{name}", outputs["NotificationTarget"])
    return Stack(aws, f"tt-{name}", outputs, receiver, 3 if trigger == "S3" else parameters["MaxReceiveCount"])


def attach(aws: MiniStack, bucket: str, target: str) -> None:
    """One command instead of screenshots, and then all holds."""
    done = tintype.run("doctor", f"s3://{bucket}", "--fix", "--notify", target, "--wait", "60s", "--json", env=aws.env)
    state = {check["check"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0 and state["TLS only"] == "ok", done.stdout
    assert (state["notification"], state["processing"], state["trigger apart"]) == ("ok", "ok", "ok"), done.stdout


def photo() -> bytes:
    return CORGI.read_bytes() if CORGI.exists() else corpus.save(corpus.photo(4160, 3120, 7), "JPEG", quality=85)


def test_a_photo_by_presigned_post_becomes_eight_variants_and_a_signed_callback(stack):
    data = photo()
    stack.upload("temp/corgi.jpg", data)
    body = stack.wait("corgi.jpg")
    assert (body["status"], body["metadata"], body["processed_key"]) == ("completed", METADATA, "image/corgi.jpg")
    sizes = expected_sizes(data)
    assert sorted(v["name"] for v in body["variants"]) == sorted(NAMES)
    for variant in body["variants"]:
        got = stack.s3.get_object(Bucket=stack.bucket, Key=variant["key"])
        assert (got["ContentType"], got["Metadata"]) == ("image/jpeg", METADATA)
        if variant["name"] != "original":
            assert Image.open(io.BytesIO(got["Body"].read())).size == sizes[variant["name"]], variant["name"]
    manifest = stack.s3.get_object(Bucket=stack.bucket, Key="image/corgi.jpg.manifest.json")
    assert manifest["ContentType"] == "application/json"
    assert json.loads(manifest["Body"].read())["variants"] == body["variants"]


def test_a_text_is_told_as_a_failure_and_done_with(stack):
    stack.upload("temp/note.txt", b"these are words", "image/jpeg")
    body = stack.wait("note.txt")
    assert (body["status"], body["error"]["code"], body["metadata"]) == ("failed", "unsupported_format", METADATA)
    assert len(stack.told("note.txt")) == 1 and stack.depth("DeadLetterQueueUrl") == 0
    assert not stack.written("note")


def test_a_backend_that_is_down_ends_in_the_dead_letter_queue_and_a_redrive_heals_it(stack):
    stack.receiver.answer(f"/{stack.bucket}/down.jpg/", *[503] * 20)
    stack.upload("temp/down.jpg", corpus.save(corpus.photo(400, 300, 8), "JPEG"))
    wait_for("dead letter", lambda: stack.depth("DeadLetterQueueUrl") == 1, 40)
    tried, before = stack.told("down.jpg", 503), stack.written("down")
    assert len(tried) == stack.tries and not stack.told("down.jpg")
    assert len(before) == len(NAMES) + 1, "only the callback was missing"

    stack.receiver.script[f"/{stack.bucket}/down.jpg/"].clear()
    assert "1 messages are to be done again" in stack.aws.shell(stack.outputs["Redrive"])
    assert stack.wait("down.jpg")["status"] == "completed"
    assert stack.written("down") == before, "no pixel was touched again"
    assert {r.webhook_id for r in tried} == {r.webhook_id for r in stack.told("down.jpg")}
    wait_for("empty queues", lambda: stack.depth("DeadLetterQueueUrl") == stack.depth("QueueUrl") == 0, 20)


def test_the_same_event_twice_does_the_pixel_work_once(stack):
    stack.upload("temp/twice.jpg", corpus.save(corpus.photo(400, 300, 9), "JPEG"))
    stack.wait("twice.jpg")
    before = stack.written("twice")
    stack.aws.client("lambda").invoke(FunctionName=stack.outputs["FunctionArn"], InvocationType="Event",
                                      Payload=json.dumps(stack.event("twice.jpg")))
    told = wait_for("second callback", lambda: (t := stack.told("twice.jpg")) and len(t) == 2 and t, 20)
    assert stack.written("twice") == before and len({r.webhook_id for r in told}) == 1


def test_a_batch_of_ten_with_one_poison_message(stack):
    keys = [f"batch/{n}.jpg" for n in range(9)]
    for n, key in enumerate(keys):
        stack.upload(f"temp/{key}", corpus.save(corpus.photo(200, 150, n), "JPEG"))
    for key in keys:
        stack.wait(key)
    before = stack.written("batch")
    bodies = [json.dumps(stack.event(key)) for key in keys]
    bodies.insert(4, "{\"poison\": true}")
    sqs = stack.aws.client("sqs")
    sent = sqs.send_message_batch(QueueUrl=stack.outputs["QueueUrl"],
                                  Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)])
    assert len(sent["Successful"]) == 10
    wait_for("the poison in the dead-letter queue", lambda: stack.depth("DeadLetterQueueUrl") == 1, 30)
    assert [len(stack.told(key)) for key in keys] == [2] * 9, "the trigger's and the batch's, and no neighbour was repeated"
    assert stack.written("batch") == before
    dead = sqs.receive_message(QueueUrl=stack.outputs["DeadLetterQueueUrl"])["Messages"][0]
    assert dead["Body"] == "{\"poison\": true}"
    sqs.delete_message(QueueUrl=stack.outputs["DeadLetterQueueUrl"], ReceiptHandle=dead["ReceiptHandle"])


def test_the_role_may_do_its_work_and_nothing_else(stack):
    """IAM's simulator tells it, of the policies that were deployed."""
    role = stack.aws.client("lambda").get_function_configuration(FunctionName=stack.outputs["FunctionArn"])["Role"]
    bucket, region = f"arn:aws:s3:::{stack.bucket}", "us-east-1:000000000000"
    may = {"s3:GetObject": [f"{bucket}/temp/a.jpg", f"{bucket}/image/a.jpg"], "s3:PutObject": [f"{bucket}/image/a.jpg"], "s3:DeleteObject": [f"{bucket}/image/a.jpg"],
           "s3:ListBucket": [bucket], "secretsmanager:GetSecretValue": [stack.outputs["SecretArn"]],
           "sqs:SendMessage": [f"arn:aws:sqs:{region}:{stack.bucket}-dead"]}
    may_not = {"s3:GetObject": [f"{bucket}/other/a.jpg", "arn:aws:s3:::another/temp/a.jpg"], "s3:PutObject": [f"{bucket}/temp/a.jpg"],
               "s3:DeleteObject": [f"{bucket}/temp/a.jpg"], "s3:DeleteObjectVersion": [f"{bucket}/image/a.jpg"], "s3:PutBucketPolicy": [bucket],
               "secretsmanager:GetSecretValue": [f"arn:aws:secretsmanager:{region}:secret:another-AbCdEf"],
               "sqs:SendMessage": [f"arn:aws:sqs:{region}:another"], "iam:PassRole": ["*"]}
    for actions, decision in ((may, "allowed"), (may_not, "implicitDeny")):
        for action, resources in actions.items():
            answer = stack.aws.client("iam").simulate_principal_policy(
                PolicySourceArn=role, ActionNames=[action], ResourceArns=resources)
            for result in answer["EvaluationResults"]:
                assert result["EvalDecision"] == decision, (action, result)


def test_every_option_at_once(aws, receiver):
    """What the other stacks leave as it comes; and a secret of one's own, in SSM."""
    ssm, name = aws.client("ssm"), "tt-options"
    ssm.put_parameter(Name="/tintype/callback", Type="SecureString", Value=SECRET)
    arn = ssm.get_parameter(Name="/tintype/callback")["Parameter"]["ARN"]
    outputs = aws.deploy(
        DEPLOY / "template_new_bucket.yaml", name, SourceImageBucketName=name, LambdaFunctionName=name, CallbackSecretArn=arn,
        CallbackUrl=f"{receiver.url}/{name}/{{key}}/", CallbackAllowPrivate="true", TemporaryImagePath="in/coming/",
        ImageFolder="out/", Blur="False", ThumbDimensionLarge=320, AllowedOrigins="https://a.example,https://b.example",
        PublicRead="yes", VpcSubnetIds="subnet-1,subnet-2", SecurityGroupIds="sg-1", Policy="AWSLambdaExecute",
        ReservedConcurrency=5, AlarmEmail="a@example.com", Tracing="Active", LogRetentionInDays=7)
    stack = Stack(aws, name, outputs, receiver)
    stack.upload("in/coming/2026/corgi.jpg", corpus.save(corpus.photo(800, 600, 10), "JPEG"))
    body = wait_for("callback", lambda: stack.told("2026/corgi.jpg"))[0].verify(SECRET)
    assert outputs["SecretArn"] == arn and body["status"] == "completed"
    assert sorted(v["key"] for v in body["variants"]) == [
        f"out/2026/corgi{suffix}.jpg" for suffix in ("", "_100x100", "_320x320", "_50x50")]

    cors = stack.s3.get_bucket_cors(Bucket=name)["CORSRules"][0]
    assert cors["AllowedOrigins"] == ["https://a.example", "https://b.example"] and "POST" in cors["AllowedMethods"]
    block = stack.s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert (block["BlockPublicAcls"], block["BlockPublicPolicy"]) == (True, False)
    policy = json.loads(stack.s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    allowed = [(s["Action"], s["Resource"]) for s in policy if s["Effect"] == "Allow"]
    assert allowed == [("s3:GetObject", f"arn:aws:s3:::{name}/out/*")]
    role = aws.client("lambda").get_function_configuration(FunctionName=name)["Role"].split("/")[-1]
    assert set(aws.client("iam").list_role_policies(RoleName=role)["PolicyNames"]) >= {"network", "traces"}
    attached = aws.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [p["PolicyArn"] for p in attached] == ["arn:aws:iam::aws:policy/AWSLambdaExecute"]
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{name}-")["MetricAlarms"]
    assert len(alarms) == 7 and all(a["AlarmActions"] for a in alarms)
    assert "a@example.com" in [s["Endpoint"] for s in aws.client("sns").list_subscriptions()["Subscriptions"]]
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    assert [g["retentionInDays"] for g in groups] == [7]
