"""What docs/aws.md and deploy/aws/manual.md print, run as it is printed, on a local AWS; and each of events/*.json."""
import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

import corpus
from support import s3
from support.function import Function, s3_event
from support.ministack import DEPLOY, MiniStack
from support.pillow import NAMES
from support.process import REPO, Daemon, free_port, listening, wait_for
from support.receiver import SECRET

PHOTO = corpus.save(corpus.photo(400, 300, 51), "JPEG", quality=85)
KEYS = ["temp/corgi.jpg", *(f"temp/batch/{n}.jpg" for n in range(10))]


def shell_blocks(text: str) -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))


def test_the_manual_way(tmp_path, receiver, packed):
    setup, away = map(shell_blocks, (DEPLOY / "manual.md").read_text().split("## All of it away again"))
    names = set(re.findall(r"^([A-Z_]+)=", setup, re.M))
    (tmp_path / "corgi.jpg").write_bytes(PHOTO)
    aws = MiniStack(tmp_path / "ministack", strict=True, tls=True)
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


# --- docs/aws.md ------------------------------------------------------------------------------------------

PAGE = REPO / "docs/aws.md"
LINT = REPO / ".peers/aws-lint/bin"
CARGO_LAMBDA = REPO / ".peers/aws/bin"


def printed(start: str) -> str:
    """The command of docs/aws.md that starts so, with the lines that it goes on in."""
    return re.search(rf"^{start}(?:.*\\\n)*.*", PAGE.read_text(), re.M)[0]


def test_the_way_with_sam(tmp_path, packed):
    aws = MiniStack(tmp_path / "ministack", strict=True, tls=True)
    try:
        env = {"PATH": f"{LINT}:{os.environ['PATH']}", "SAM_CLI_TELEMETRY": "0", **aws.env}
        build, deploy = printed("sam build"), printed("sam deploy")
        bucket = re.search(r"SourceImageBucketName=(\S+)", deploy)[1]
        for command in build, deploy.replace("--guided", "--no-confirm-changeset"):  # --guided asks
            done = subprocess.run(["bash", "-euc", command], cwd=DEPLOY, env={**os.environ, **env}, text=True,
                                  capture_output=True, timeout=300)
            assert done.returncode == 0, done.stdout + done.stderr
        client = aws.client("s3")
        client.put_object(Bucket=bucket, Key="temp/corgi.jpg", Body=PHOTO, ContentType="image/jpeg")
        wait_for("manifest", lambda: client.head_object(Bucket=bucket, Key="image/corgi.jpg.manifest.json"))
    finally:
        aws.stop()


def test_cargo_lambda_watch_and_invoke(tmp_path, seaweedfs):
    at = seaweedfs.bucket("watched")
    at.s3.put_object(Bucket=at.bucket, Key="temp/corgi.jpg", Body=PHOTO, ContentType="image/jpeg")
    variables = json.loads((DEPLOY / "env.json").read_text())["ThumbnailFunction"] | {"CALLBACK_URL": ""}
    (tmp_path / "function.env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    event = tmp_path / "s3.json"
    event.write_text((DEPLOY / "events/s3.json").read_text().replace("example-bucket", at.bucket))
    port = str(free_port())
    watch, invoke = (printed(f"cargo lambda {what}").replace("9001", port).replace("function.env", f"{tmp_path}/function.env")
                     .replace("deploy/aws/events/s3.json", str(event)) for what in ("watch", "invoke"))
    env = {**os.environ, "PATH": f"{CARGO_LAMBDA}:{os.environ['PATH']}", "AWS_ENDPOINT_URL": at.endpoint, "AWS_REGION": s3.REGION,
           "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY}
    daemon = Daemon(["bash", "-c", f"exec {watch}"], tmp_path / "watch.log", env, REPO)
    try:
        daemon.wait_ready(lambda: listening(int(port)), 60)
        done = subprocess.run(["bash", "-euc", invoke], cwd=REPO, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr + daemon.tail()
        assert json.loads(done.stdout)["results"][0]["processed_key"] == "image/corgi.jpg"
    finally:
        daemon.stop(grace=3)


def test_the_build_says_what_is_missing_for_arm64(packed):
    roots = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    if (Path(roots) / "lib/rustlib/aarch64-unknown-linux-gnu").exists():
        pytest.skip("it is there, and building with it takes minutes")
    done = subprocess.run([DEPLOY / "build", "--arm64"], capture_output=True, text=True)
    assert done.returncode == 1 and "rustup target add aarch64-unknown-linux-gnu" in done.stderr


def test_the_same_program_packs_to_the_same_small_zip(packed):
    before = packed.read_bytes()
    subprocess.run([DEPLOY / "build"], check=True, capture_output=True)
    assert packed.read_bytes() == before and len(before) < 10_000_000
    entry = zipfile.ZipFile(packed).getinfo("bootstrap")
    assert entry.external_attr >> 16 & 0o111, "it has to be executable"


def test_a_deployment_beside_a_build_takes_a_whole_program(packed):
    program = DEPLOY / "function/bootstrap"
    zipped, size, looks = packed.read_bytes(), program.stat().st_size, 0
    with subprocess.Popen([DEPLOY / "build"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as build:
        while build.poll() is None:
            assert (packed.read_bytes() == zipped, program.stat().st_size) == (True, size), f"look {looks}"
            looks += 1
    assert build.returncode == 0 and looks > 10


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
