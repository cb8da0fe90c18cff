"""`tintype doctor`: what it finds on real stores, what it mends, and that it leaves nothing behind."""
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support import s3, tintype
from support.flaky import Flaky
from support.ministack import TOOLS, MiniStack
from support.process import REPO, free_port, wait_for

PAGE = "https://app.example.com"
CLIENTS = ["signature", "signed key", "size limit", "content type"]
CLOSED = ["originals private", "writing closed", "listing closed"]


class Visit:
    """One run of the doctor, read from its JSON."""

    def __init__(self, *args, env: dict | None = None, wait: str = "10s"):
        self.done = tintype.run("doctor", *args, "--wait", wait, "--json", env=env)
        assert "panicked" not in self.done.stderr, self.done.stderr
        self.code = self.done.returncode
        self.told = json.loads(self.done.stdout)
        self.checks = {row["check"]: row for row in self.told["checks"]}
        assert self.told["holds"] == ((self.code == 0) if self.checks else None)

    def states(self, *names: str) -> set:
        return {self.checks[name]["state"] for name in names}

    def those(self, state: str) -> set:
        return {name for name, row in self.checks.items() if row["state"] == state}

    def changes(self, state: str) -> list[str]:
        return [change["what"] for change in self.told["changes"] if change["state"] == state]


def keys(client, bucket: str) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


# --- the store of `tintype serve` ---

def test_embedded_store_holds(serve, receiver):
    server = serve()
    at = server.at
    visit = Visit("s3://tintype", "--endpoint", server.store, "--origin", PAGE,
                  env={"AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY})
    assert visit.code == 0, visit.told
    assert visit.states("credentials", "form upload", "conditional writes", "CORS", "processing", "variants", *CLIENTS, *CLOSED) == {"ok"}
    # What an embedded store has no setting for is no mistake.
    assert visit.states("notification", "trigger apart", "public access block", "originals expire", "incomplete uploads",
                        "variants stay", "ownership", "encryption", "versioning", "TLS only") == {"skipped"}
    assert keys(at.s3, "tintype") == [] and visit.told["left"] == []
    [original] = visit.told["uploaded"]
    uploads = server.call("GET", "/v1/uploads").json()["uploads"]
    assert len(uploads) == 1, "one upload"
    assert server.deliveries() == [] and not receiver.of(uploads[0]["id"]), "and no callback"
    assert original.startswith("temp/tintype-doctor-")
    # Its row stays, and what it names is gone, as it should be.
    verified = tintype.run("verify", "--data", server.home / "data", env=server.env, cwd=server.home)
    assert verified.returncode == 0, verified.stdout


def test_without_a_bucket_it_is_the_running_server(serve, tmp_path):
    server = serve()
    env = {"TINTYPE_SERVER__DATA": str(server.home / "data"), "TINTYPE_STORE__LISTEN": f"127.0.0.1:{server.store_port}"}
    assert Visit(env=env).code == 0
    put = Visit(env={**env, "TINTYPE_UPLOAD__METHOD": "PUT"})
    assert put.code == 0 and put.states("presigned PUT", *CLIENTS) == {"ok"}
    none = tintype.run("doctor", cwd=tmp_path)
    assert none.returncode == 2 and "store-credentials" in none.stderr and none.stdout.startswith("this machine\n")


def test_the_table_is_for_reading(serve):
    server = serve()
    done = tintype.run("doctor", "--wait", "10s", env={
        "TINTYPE_SERVER__DATA": str(server.home / "data"), "TINTYPE_STORE__LISTEN": f"127.0.0.1:{server.store_port}"})
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100 and "\x1b" not in done.stdout
    assert any(line.startswith("form upload          ok       taken") for line in lines), done.stdout
    assert lines[-1] == "Everything that was written is removed again."


class Picky:
    """In front of a store: answers some calls itself, and hands the others on as they are. With a certificate, by TLS."""

    def __init__(self, port: int, refuses=lambda method, body: None, certificate: Path | None = None):
        class Handler(BaseHTTPRequestHandler):
            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if code := refuses(self.command, body):
                    text = f"<Error><Code>{code[1]}</Code></Error>".encode()
                    return self.give(code[0], {"Content-Type": "application/xml"}, text)
                back = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                back.request(self.command, self.path, body, dict(self.headers))
                answer = back.getresponse()
                text = answer.read()
                self.give(answer.status, dict(answer.getheaders()), text)
                back.close()

            def give(self, status, headers, text):
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_HEAD = handle_one

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server.server_port}"
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("refuses, setting", [
    (lambda method, body: (501, "NotImplemented") if method == "POST" else None, 'upload.method = "PUT"'),
    (lambda method, body: (400, "AccessControlListNotSupported") if b'name="acl"' in body else None, 'upload.acl = ""'),
], ids=["no forms", "no acl"])
def test_what_works_instead_is_offered(embedded, refuses, setting):
    with Picky(embedded.store_port, refuses) as picky:
        visit = Visit("s3://tintype", "--endpoint", picky.url,
                      env={"AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY})
    assert visit.code == 1 and visit.those("problem") == {"form upload"}, visit.told
    assert setting in visit.checks["form upload"]["fix"]["how"]
    assert visit.states("processing", *CLIENTS) == {"ok"}


def test_an_interruption_leaves_nothing(seaweedfs):
    at = seaweedfs.bucket("doctor-interrupted")
    doctor = subprocess.Popen([tintype.BINARY, "doctor", f"s3://{at.bucket}", "--endpoint", at.endpoint, "--wait", "60s"],
                              env={**os.environ, **at.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("the upload", lambda: [k for k in keys(at.s3, at.bucket) if k.startswith("temp/")])
    time.sleep(0.5)
    doctor.send_signal(signal.SIGINT)
    out, err = doctor.communicate(timeout=20)
    assert doctor.returncode == 1 and "interrupted" in err and out == ""
    assert keys(at.s3, at.bucket) == []


# --- other stores ---

def test_seaweedfs_tells_nobody(seaweedfs):
    at = seaweedfs.bucket("doctor")
    visit = Visit(f"s3://{at.bucket}", "--endpoint", at.endpoint, env=at.env, wait="1s")
    assert visit.code == 1, visit.told
    assert visit.states("credentials", "form upload", "conditional writes", *CLIENTS, *CLOSED) == {"ok"}
    assert visit.checks["processing"]["state"] == "problem"
    assert "/v1/events" in visit.checks["processing"]["fix"]["how"]
    assert "public" in visit.checks["variants"]["seen"]
    assert keys(at.s3, at.bucket) == []
    # It has no notifications, so none are offered; and any page may call it, by no rule of the bucket's.
    assert visit.states("notification", "trigger apart") == {"skipped"} and "no such setting" in visit.checks["notification"]["seen"]
    of_page = (f"s3://{at.bucket}", "--endpoint", at.endpoint, "--origin", PAGE)
    assert Visit(*of_page, env=at.env, wait="1s").checks["CORS"]["state"] == "ok"
    planned = Visit(*of_page, "--fix", "--dry-run", env=at.env)
    assert not any("CORS" in what for what in planned.changes("would change")), planned.told
    assert any("notification" in what and "no such setting" in what for what in planned.changes("left")), planned.told


def test_ceph_holds_once_its_trigger_is_apart(ceph, tmp_path, receiver):
    server = tintype.Server(tmp_path / "ceph", receiver, start=False)
    at = ceph.bucket("doctor", f"{server.url}/v1/events")
    server.env |= at.env
    server.start()
    try:
        args = (f"s3://{at.bucket}", "--endpoint", at.endpoint, "--origin", PAGE)
        visit = Visit(*args, env=at.env)
        assert visit.code == 1
        assert "trigger apart" in visit.those("problem"), "its notification has no prefix"
        assert visit.states("credentials", "form upload", "conditional writes", "processing", *CLIENTS, *CLOSED) == {"ok"}, visit.told

        told = at.s3.get_bucket_notification_configuration(Bucket=at.bucket)["TopicConfigurations"][0]
        told["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "temp/"}]}}
        at.s3.put_bucket_notification_configuration(
            Bucket=at.bucket, NotificationConfiguration={"TopicConfigurations": [told]})
        mended = Visit(*args, "--fix", env=at.env)
        assert mended.code == 0, mended.told
        assert keys(at.s3, at.bucket) == []
    finally:
        server.stop()


# --- a local AWS ---

class LocalAws(MiniStack):
    """A local AWS with what these tests ask of it."""

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def client(self, service: str = "s3"):
        return super().client(service)

    def queue(self, name: str) -> tuple[str, str]:
        """A queue that S3 may send to: its address and its ARN."""
        sqs, arn = self.client("sqs"), f"arn:aws:sqs:us-east-1:000000000000:{name}"
        policy = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]}
        url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
        return url, arn

    def as_shown(self, command: str, folder: Path) -> None:
        """Runs a command as the doctor shows it, which names the store itself."""
        tools = f"{TOOLS}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60,
                              env={**os.environ, **self.env, "AWS_ENDPOINT_URL": "", "PATH": tools})
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def visit(self, bucket: str, *args, **options) -> Visit:
        return Visit(f"s3://{bucket}", "--endpoint", self.endpoint, *args, env=self.keys, **options)


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    server = LocalAws(tmp_path_factory.mktemp("aws"), strict=True)
    yield server
    server.stop()


class Forwarder:
    """What docs/s3.md asks for: hands the events of a queue to `POST /v1/events`, until it is left."""

    def __init__(self, aws: LocalAws, queue: str, server: tintype.Server):
        self.sqs, self.queue, self.server = aws.client("sqs"), queue, server
        self.ended = threading.Event()

    def _run(self):
        while not self.ended.is_set():
            for message in self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=1).get("Messages", []):
                self.server.call("POST", "/v1/events", data=message["Body"])
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __exit__(self, *args):
        self.ended.set()
        self.thread.join(10)


def break_bucket(client, name: str, queue: str) -> None:
    """Anyone writes and lists, everything is told of, everything expires, ACLs count, no page may upload."""
    client.create_bucket(Bucket=name)
    client.delete_public_access_block(Bucket=name)
    client.delete_bucket_ownership_controls(Bucket=name)
    client.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "Oops", "Effect": "Allow", "Principal": "*", "Action": ["s3:PutObject", "s3:ListBucket"],
         "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}]}))
    client.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={
        "QueueConfigurations": [{"Id": "everything", "QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}]})
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [
        {"ID": "everything", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}]})
    client.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [
        {"ID": "theirs", "AllowedOrigins": ["https://theirs.example.com"], "AllowedMethods": ["GET"]}]})


def settings(client, name: str) -> dict:
    found = {
        "policy": client.get_bucket_policy(Bucket=name)["Policy"],
        "notification": client.get_bucket_notification_configuration(Bucket=name),
        "lifecycle": client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"],
        "cors": client.get_bucket_cors(Bucket=name)["CORSRules"],
    }
    found["notification"].pop("ResponseMetadata")
    return found


def test_a_broken_bucket_is_seen_through_and_mended(aws, tmp_path):
    client, (_, queue) = aws.client(), aws.queue("everything")
    break_bucket(client, "broken", queue)
    before = settings(client, "broken")

    visit = aws.visit("broken", "--origin", PAGE, wait="1s")
    assert visit.code == 1
    assert visit.those("problem") == {
        "CORS", "processing", "trigger apart", "writing closed", "listing closed", "variants stay"}, visit.told
    assert visit.those("warning") == {"public access block", "incomplete uploads", "ownership"}
    assert all(visit.checks[name]["fix"] for name in visit.those("problem") | visit.those("warning"))
    assert '"everything"' in visit.checks["variants stay"]["seen"]
    assert "jq" in visit.checks["trigger apart"]["fix"]["command"]
    assert keys(client, "broken") == [], "what anyone could write is removed as well"

    dry = aws.visit("broken", "--origin", PAGE, "--fix", "--dry-run")
    assert dry.code == 0 and len(dry.changes("would change")) == 4 and not dry.checks, dry.told
    assert settings(client, "broken") == before

    mended = aws.visit("broken", "--origin", PAGE, "--fix", "--notify", aws.queue("uploads")[1], wait="1s")
    assert len(mended.changes("changed")) == 4, mended.told
    # What only its owner can decide is told, and left.
    assert mended.those("problem") == {"processing", "trigger apart", "variants stay"} and not mended.those("warning")
    assert any("everything" in why and "SQS" in why for why in mended.changes("left"))

    after = settings(client, "broken")
    assert after["policy"] == before["policy"] and after["notification"] == before["notification"]
    assert all(rule in after["lifecycle"] for rule in before["lifecycle"]) and len(after["lifecycle"]) == 3
    assert before["cors"][0] in after["cors"] and len(after["cors"]) == 2
    again = aws.visit("broken", "--origin", PAGE, "--fix", wait="1s")
    assert not again.changes("changed") and settings(client, "broken") == after

    # The commands it shows for the rest do what they say, as they are.
    for check in ("trigger apart", "variants stay"):
        aws.as_shown(again.checks[check]["fix"]["command"], tmp_path)
    last = aws.visit("broken", "--origin", PAGE, wait="1s")
    assert last.those("problem") == {"processing"}, last.told
    told = client.get_bucket_notification_configuration(Bucket="broken")["QueueConfigurations"]
    assert [(entry["Id"], entry["QueueArn"]) for entry in told] == [("everything", queue)]


def test_a_new_bucket_is_made_ready_by_one_command(aws, tmp_path, receiver):
    client, (url, queue) = aws.client(), aws.queue("ready")
    theirs, theirs_arn = "reports", aws.queue("reports")[1]
    client.create_bucket(Bucket="ready")
    client.put_bucket_notification_configuration(Bucket="ready", NotificationConfiguration={"QueueConfigurations": [
        {"Id": theirs, "QueueArn": theirs_arn, "Events": ["s3:ObjectCreated:*"],
         "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "reports/"}]}}}]})
    server = tintype.Server(tmp_path / "ready", receiver, start=False, env={
        "TINTYPE_STORE__URL": "s3://ready", "TINTYPE_STORE__ENDPOINT": aws.endpoint, **aws.keys})
    server.start()
    try:
        with Forwarder(aws, url, server):
            visit = aws.visit("ready", "--origin", PAGE, "--fix", "--notify", queue)
            assert visit.code == 0, visit.told
            assert not visit.those("warning") and not visit.those("problem")
            assert "SQS queue ready" in visit.checks["notification"]["seen"]
            assert "8 variants" in visit.checks["processing"]["seen"]
            assert keys(client, "ready") == []
            again = aws.visit("ready", "--origin", PAGE, "--fix", "--notify", queue)
            assert again.code == 0 and not again.changes("changed")
    finally:
        server.stop()
    entries = client.get_bucket_notification_configuration(Bucket="ready")["QueueConfigurations"]
    assert {entry["Id"]: entry["QueueArn"] for entry in entries} == {theirs: theirs_arn, "tintype-uploads": queue}


def test_public_variants_stay_public(aws, tmp_path):
    """Who means variants to be read by anyone is not closed out of them; what is open beside that is named."""
    client = aws.client()
    client.create_bucket(Bucket="gallery")
    client.put_public_access_block(Bucket="gallery", PublicAccessBlockConfiguration={
        "BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False})
    policy = json.loads(s3.read_policy("gallery"))
    policy["Statement"].append({"Sid": "Oops", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:Put*",
                                "Resource": "arn:aws:s3:::gallery/temp/*"})
    client.put_bucket_policy(Bucket="gallery", Policy=json.dumps(policy))
    visit = aws.visit("gallery", "--fix", wait="1s")
    block = client.get_public_access_block(Bucket="gallery")["PublicAccessBlockConfiguration"]
    assert block == {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False,
                     "RestrictPublicBuckets": False}
    assert "public" in visit.checks["variants"]["seen"] and visit.states("public access block") == {"ok"}
    assert visit.states("writing closed") == {"problem"}
    aws.as_shown(visit.checks["writing closed"]["fix"]["command"], tmp_path)
    closed = aws.visit("gallery", wait="1s")
    assert closed.states("writing closed") == {"ok"} and "public" in closed.checks["variants"]["seen"]


def certificate(home: Path) -> Path:
    """Key and certificate of 127.0.0.1 in one file."""
    path = home / "tls.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-keyout", home / "key.pem", "-out", home / "cert.pem", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
                   check=True, capture_output=True)
    path.write_text((home / "key.pem").read_text() + (home / "cert.pem").read_text())
    return path


def test_tls_is_asked_for_beside_the_statements_that_are_there(aws, tmp_path):
    client = aws.client()
    client.create_bucket(Bucket="tls")
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
              "Action": "s3:GetObject", "Resource": "arn:aws:s3:::tls/reports/*"}
    client.put_bucket_policy(Bucket="tls", Policy=json.dumps({"Version": "2012-10-17", "Statement": theirs}))
    with Picky(aws.port, certificate=certificate(tmp_path)) as front:
        env = {**aws.keys, "SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        assert "TLS only" in Visit("s3://tls", "--endpoint", front.url, env=env, wait="1s").those("warning")
        mended = Visit("s3://tls", "--endpoint", front.url, "--fix", env=env, wait="1s")
        assert mended.states("TLS only") == {"ok"}, mended.told
        statements = json.loads(client.get_bucket_policy(Bucket="tls")["Policy"])["Statement"]
        assert statements[0] == theirs and statements[1]["Effect"] == "Deny" and len(statements) == 2
        again = Visit("s3://tls", "--endpoint", front.url, "--fix", env=env, wait="1s")
        assert not again.changes("changed")


def test_no_version_stays(aws):
    client = aws.client()
    client.create_bucket(Bucket="versions")
    client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    visit = aws.visit("versions", wait="1s")
    assert visit.told["left"] == [] and "on" in visit.checks["versioning"]["seen"]
    versions = client.list_object_versions(Bucket="versions")
    assert not versions.get("Versions") and not versions.get("DeleteMarkers")


def documented_rights(bucket: str) -> list[dict]:
    """The policies of docs/doctor.md: to look, and to mend."""
    text = (REPO / "docs/doctor.md").read_text().replace("my-bucket", bucket)
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.S)]


def test_the_documented_rights_are_enough(aws):
    iam = aws.client("iam")
    aws.client().create_bucket(Bucket="rights")

    def user(name: str, *policies: dict) -> dict:
        iam.create_user(UserName=name)
        for n, policy in enumerate(policies):
            iam.put_user_policy(UserName=name, PolicyName=f"p{n}", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    look, mend = documented_rights("rights")
    at = ("s3://rights", "--endpoint", aws.endpoint, "--origin", PAGE)
    looks = Visit(*at, env=user("looks", look), wait="1s")
    assert looks.those("problem") == {"CORS", "notification", "processing"}, looks.told
    assert looks.those("skipped") == {"TLS only"} and looks.told["left"] == []
    refused = Visit(*at, "--fix", env=user("only-looks", look), wait="1s")
    assert refused.code == 1 and any("s3:PutBucketCORS" in why for why in refused.changes("failed")), refused.told
    mends = Visit(*at, "--fix", "--notify", aws.queue("rights")[1], env=user("mends", look, mend), wait="1s")
    assert mends.those("problem") == {"processing"} and not mends.changes("failed"), mends.told

    nobody = Visit(*at, env=user("nobody"), wait="1s")
    seen = nobody.checks["credentials"]["seen"]
    for action in ("s3:ListBucket", "s3:PutObject on image/*", "s3:GetObject on image/*", "s3:DeleteObject on temp/*"):
        assert action in seen, seen
    assert nobody.states("form upload") == {"problem"} and nobody.states("originals private", *CLIENTS) == {"skipped"}
    assert "s3:GetBucketPolicy" in nobody.checks["TLS only"]["fix"]["how"]


def test_a_target_that_is_not_there_is_refused(aws):
    aws.client().create_bucket(Bucket="nobody")
    gone = "arn:aws:sqs:us-east-1:000000000000:gone"
    visit = aws.visit("nobody", "--fix", "--notify", gone, wait="1s")
    assert visit.code == 1
    [why] = visit.changes("failed")
    assert gone in why and "s3.amazonaws.com" in why


def test_a_store_that_believes_anyone_is_found_out(tmp_path):
    server = LocalAws(tmp_path / "aws", strict=False)
    try:
        server.client().create_bucket(Bucket="photos")
        visit = server.visit("photos", wait="1s")
        assert {"signature", *CLOSED} <= visit.those("problem"), visit.told
        assert keys(server.client(), "photos") == []
    finally:
        server.stop()


def test_a_store_that_ignores_conditions_is_found_out(tmp_path):
    """Some say 200 to If-None-Match and If-Match, and write whatever is there."""
    server = LocalAws(tmp_path / "aws", strict=False)
    ignoring = Flaky(server.endpoint, lambda method, key: None, drop=("if-none-match", "if-match"))
    unknowing = Flaky(server.endpoint, lambda method, key, headers: 501 if "If-None-Match" in headers else None)
    try:
        server.client().create_bucket(Bucket="photos")
        of = lambda endpoint: Visit("s3://photos", "--endpoint", endpoint, env=server.keys, wait="1s").checks["conditional writes"]
        kept, ignored, unknown = of(server.endpoint), of(ignoring.endpoint), of(unknowing.endpoint)
        assert kept["state"] == "ok", kept
        assert ignored["state"] == "warning" and "If-None-Match: * and If-Match is ignored" in ignored["seen"], ignored
        assert unknown["state"] == "warning" and "501" in unknown["seen"], unknown
        assert "one instance" in ignored["fix"]["how"]
        assert keys(server.client(), "photos") == []
    finally:
        for one in (ignoring, unknowing, server):
            one.stop()


# --- wrong usage, and buckets that cannot be reached ---

@pytest.mark.parametrize("args", [
    ["bucket"], ["s3://"], ["s3://a/b"], ["s3://photos", "--notify", "arn:aws:sqs:us-east-1:1:q"],
    ["s3://photos", "--fix", "--notify", "somebody"], ["s3://photos", "--dry-run"],
    ["s3://photos", "--origin", "app.example.com"], ["s3://photos", "--wait", "soon"],
    ["s3://photos", "--config", "/does/not/exist.toml"],
])
def test_wrong_usage(args):
    done = tintype.run("doctor", *args)
    assert done.returncode == 2 and done.stdout == "" and done.stderr


def test_what_cannot_be_reached_is_one_row(aws, embedded):
    assert "bucket" in aws.visit("not-there").checks["credentials"]["seen"]
    wrong = Visit("s3://tintype", "--endpoint", embedded.store,
                  env={"AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert wrong.code == 1 and [check for check in wrong.checks if "box" not in check] == ["credentials"]
    assert "SignatureDoesNotMatch" in wrong.checks["credentials"]["seen"]
    nobody = Visit("s3://photos", "--endpoint", f"http://127.0.0.1:{free_port()}", env=aws.keys)
    assert "does not answer" in nobody.checks["credentials"]["seen"]


def test_help_has_examples():
    done = tintype.run("doctor", "--help")
    assert done.returncode == 0 and "Examples:" in done.stdout and "Exit code" in done.stdout
