"""Who may push storage events: each provider's own proof, and nothing that only looks like one."""
import base64
import hashlib
import hmac
import json
import re
import time

import pytest
import requests

import corpus
from support import tintype
from support.ministack import MiniStack
from support.process import wait_for
from support.proofs import Issuer, RsaKey, Sns
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
API_KEY = "tt_events0key0that0is0long0enough"
WITH_KEY = {"TINTYPE_AUTH__KEYS": f"sha256:{hashlib.sha256(API_KEY.encode()).hexdigest()} events"}


def s3_event(key: str, bucket: str = "tintype") -> dict:
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                         "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}


def push(server, message, query: str = "", **options) -> requests.Response:
    """As SNS does: the type is that of a text."""
    options.setdefault("headers", {}).setdefault("Content-Type", "text/plain; charset=UTF-8")
    return server.call("POST", f"/v1/events{query}", data=message if isinstance(message, str) else json.dumps(message), **options)


def refused(answer: requests.Response, *statuses: int) -> dict:
    assert answer.status_code in (statuses or (401, 403)), (answer.status_code, answer.text)
    assert answer.json()["code"] == {401: "unauthorized", 403: "forbidden", 503: "unavailable"}[answer.status_code]
    return answer.json()


# --- SNS -------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def sns(tmp_path_factory):
    topic = Sns(tmp_path_factory.mktemp("sns"))
    yield topic
    topic.stop()


@pytest.fixture(scope="module")
def told_by_sns(sns, tmp_path_factory):
    server = tintype.Server(tmp_path_factory.mktemp("told"), env=WITH_KEY | sns.env | {"TINTYPE_LOG__LEVEL": "trace"})
    yield server
    server.stop()


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon S3 Notification"}])
def test_what_sns_signed_is_work(told_by_sns, sns, version, subject):
    key = f"temp/sns-{version}-{len(subject)}.jpg"
    answer = push(told_by_sns, sns.message(json.dumps(s3_event(key)), version=version, **subject))
    assert answer.status_code == 200 and len(answer.json()["accepted"]) == 1, answer.text
    assert sns.asked.count(sns.CERTIFICATE) == 1, "the certificate is kept"


FORGED = {
    "changed message": lambda m, sns: m | {"Message": json.dumps(s3_event("temp/FORGED2.jpg"))},
    "changed topic": lambda m, sns: m | {"TopicArn": sns.TOPIC + "2"},
    "changed time": lambda m, sns: m | {"Timestamp": "2026-01-01T00:00:00.000Z"},
    "changed type": lambda m, sns: m | {"Type": "SubscriptionConfirmation"},
    "other version": lambda m, sns: m | {"SignatureVersion": "1"},
    "unknown version": lambda m, sns: m | {"SignatureVersion": "3"},
    "no signature": lambda m, sns: {k: v for k, v in m.items() if k != "Signature"},
    "empty signature": lambda m, sns: m | {"Signature": ""},
    "signature of zeroes": lambda m, sns: m | {"Signature": base64.b64encode(bytes(256)).decode()},
    "subject put in": lambda m, sns: m | {"Subject": "x"},
    "another's certificate": lambda m, sns: m | {"SigningCertURL": m["SigningCertURL"].replace("127.0.0.1", "127.0.0.2")},
    "another's port": lambda m, sns: m | {"SigningCertURL": re.sub(r":\d+/", ":1/", m["SigningCertURL"])},
    "Amazon's certificate": lambda m, sns: m | {"SigningCertURL": "https://sns.us-east-1.amazonaws.com/a.pem"},
    "no certificate": lambda m, sns: m | {"SigningCertURL": sns.url + "/"},
    "query": lambda m, sns: m | {"SigningCertURL": sns.url + "/?Action=Publish&x=.pem"},
}


@pytest.mark.parametrize("how", FORGED)
def test_what_is_forged_is_refused_and_not_logged(told_by_sns, sns, how):
    asked = len(sns.asked)
    message = FORGED[how](sns.message(json.dumps(s3_event("temp/FORGED.jpg"))), sns)
    refused(push(told_by_sns, message))
    assert not [path for path in sns.asked[asked:] if path != sns.CERTIFICATE], "nothing else is fetched"
    log = told_by_sns.daemon.log.read_text()
    assert "FORGED" not in log and (message.get("Signature") or "?") not in log
    if "Signature" in message:
        assert "refused a pushed event" in log


def test_what_stands_beside_the_signed_text_is_not_read(told_by_sns, sns):
    signed = sns.message(json.dumps(s3_event("temp/signed.jpg")))
    for beside in (s3_event("temp/UNSIGNED.jpg"), {"Event": "s3:TestEvent"}, {"requestContext": {}, "requestPayload": s3_event("temp/UNSIGNED.jpg")},
                   {"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "x"}},
                   {"detail-type": "Object Created", "detail": {"bucket": {"name": "tintype"}, "object": {"key": "temp/UNSIGNED.jpg"}}}):
        answer = push(told_by_sns, signed | beside)
        assert answer.status_code == 200 and len(answer.json()["accepted"]) == 1, answer.text
    wait_for("the work", lambda: "temp/signed.jpg" in told_by_sns.daemon.log.read_text())
    assert "UNSIGNED" not in told_by_sns.daemon.log.read_text()


def test_another_key_and_another_topic_are_refused(told_by_sns, sns, tmp_path):
    text = json.dumps(s3_event("temp/a.jpg"))
    refused(push(told_by_sns, sns.message(text, key=RsaKey(tmp_path))), 401)
    # Really signed by SNS, but of a topic that anyone can make.
    foreign = refused(push(told_by_sns, sns.message(text, TopicArn="arn:aws:sns:us-east-1:666666666666:photos")), 403)
    assert "events.sns_topics" in foreign["detail"]


def test_old_messages_are_refused(told_by_sns, sns):
    text = json.dumps(s3_event("temp/a.jpg"))
    for age, good in ((3500, True), (3700, False), (-200, True), (-400, False)):
        answer = push(told_by_sns, sns.message(text, age=age))
        assert (answer.status_code == 200) == good, (age, answer.text)
        good or refused(answer, 401)


def test_certificates_must_be_good_and_theirs(serve, sns):
    server = serve(env=WITH_KEY | sns.env)
    text = json.dumps(s3_event("temp/a.jpg"))
    sns.pages |= {"/expired.pem": sns.key.expired(), "/nonsense.pem": b"hello", "/moved.pem": (302, {"Location": sns.CERTIFICATE}),
                  "/large.pem": sns.key.certificate() + b" " * 300_000}
    for page, status in (("/expired.pem", 401), ("/nonsense.pem", 401), ("/moved.pem", 503), ("/large.pem", 503), ("/none.pem", 503)):
        before = sns.asked.count(sns.CERTIFICATE)
        refused(push(server, sns.message(text, SigningCertURL=sns.url + page)), status)
        assert sns.asked.count(sns.CERTIFICATE) == before, "no redirect is followed"
    # Strangers make no more fetches than a few a minute.
    asked = len(sns.asked)
    for n in range(80):
        refused(push(server, sns.message(text, SigningCertURL=f"{sns.url}/none{n}.pem")), 503)
    assert len(sns.asked) - asked <= 60


def test_subscription_is_confirmed_for_a_listed_topic_alone(told_by_sns, sns):
    confirmed = lambda: [path for path in sns.asked if "ConfirmSubscription" in path]
    before = len(confirmed())
    ask = lambda **changes: push(told_by_sns, sns.message("confirm", "SubscriptionConfirmation", **changes))
    refused(ask(TopicArn="arn:aws:sns:us-east-1:666666666666:photos"), 403)
    refused(ask(key=None, SubscribeURL="http://127.0.0.2/?Action=ConfirmSubscription"), 403)
    refused(ask(SubscribeURL=f"{sns.url}/?Action=DeleteTopic&TopicArn={sns.TOPIC}"), 403)
    refused(push(told_by_sns, sns.message("confirm", "SubscriptionConfirmation") | {"Token": "other"}), 401)
    assert len(confirmed()) == before
    answer = ask()
    assert answer.status_code == 200 and answer.json() == {"confirmed": True}
    assert len(confirmed()) == before + 1 and "Token=SNS-TOKEN-2336" in confirmed()[-1]
    assert "SNS-TOKEN-2336" not in told_by_sns.daemon.log.read_text()
    assert push(told_by_sns, sns.message("bye", "UnsubscribeConfirmation")).status_code == 200
    assert len(confirmed()) == before + 1


def test_without_topics_nobody_signs(serve, sns):
    server = serve(env=WITH_KEY | {"TINTYPE_AWS__ENDPOINT": sns.url})
    refused(push(server, sns.message(json.dumps(s3_event("temp/a.jpg")))), 401)


# --- AWS, from end to end --------------------------------------------------------------------------

@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    stack = MiniStack(tmp_path_factory.mktemp("ministack"))
    yield stack
    stack.stop()


def bucket_on(aws, serve, name: str, **env) -> tintype.Server:
    aws.client("s3").create_bucket(Bucket=name)
    return serve(env=WITH_KEY | {
        "TINTYPE_STORE__URL": f"s3://{name}", "TINTYPE_AWS__ENDPOINT": aws.endpoint, "TINTYPE_UPLOAD__ACL": "",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"} | env)


def uploads_of(server) -> list:
    """How the ledger's uploads ended: the key of this server pushes events and sees none."""
    log = server.daemon.log.read_text()
    return re.findall(r"\bcompleted upload=(\w+)", re.sub(r"\x1b\[[0-9;]*m", "", log))


def test_sns_subscription_is_confirmed_and_develops(aws, serve):
    """MiniStack signs nothing, so its messages come with an API key, as a subscription's address may carry one."""
    topic = aws.client("sns").create_topic(Name="photos")["TopicArn"]
    server = bucket_on(aws, serve, "by-sns", TINTYPE_EVENTS__SNS_TOPICS=topic)
    endpoint = f"http://tintype:{API_KEY}@127.0.0.1:{server.port}/v1/events"
    subscriptions = lambda: aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint)
    wait_for("confirmation", lambda: [s for s in subscriptions() if s["SubscriptionArn"].startswith("arn:")])
    wait_for("word of it", lambda: "confirmed a subscription" in server.daemon.log.read_text())
    aws.client("s3").put_bucket_notification_configuration(Bucket="by-sns", NotificationConfiguration={
        "TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]})
    aws.client("s3").put_object(Bucket="by-sns", Key="temp/a.jpg", Body=PHOTO, ContentType="image/jpeg")
    wait_for("variants", lambda: aws.client("s3").head_object(Bucket="by-sns", Key="image/a_50x50.jpg"))


@pytest.mark.parametrize("how", ["x-api-key", "Authorization", "Basic"])
def test_eventbridge_pushes_with_a_connections_key(aws, serve, how):
    name = f"by-eventbridge-{how.lower()}"
    server, events = bucket_on(aws, serve, name), aws.client("events")
    parameters = {
        "x-api-key": ("API_KEY", {"ApiKeyAuthParameters": {"ApiKeyName": "x-api-key", "ApiKeyValue": API_KEY}}),
        "Authorization": ("API_KEY", {"ApiKeyAuthParameters": {"ApiKeyName": "Authorization", "ApiKeyValue": f"Bearer {API_KEY}"}}),
        "Basic": ("BASIC", {"BasicAuthParameters": {"Username": "tintype", "Password": API_KEY}}),
    }
    kind, auth = parameters[how]
    connection = events.create_connection(Name=name, AuthorizationType=kind, AuthParameters=auth)["ConnectionArn"]
    destination = events.create_api_destination(
        Name=name, ConnectionArn=connection, InvocationEndpoint=f"{server.url}/v1/events", HttpMethod="POST")["ApiDestinationArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({
        "source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [name]}}}))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": destination, "RoleArn": "arn:aws:iam::000000000000:role/push"}])
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})
    aws.client("s3").put_object(Bucket=name, Key="temp/a b.jpg", Body=PHOTO, ContentType="image/jpeg")
    wait_for("variants", lambda: aws.client("s3").head_object(Bucket=name, Key="image/a b_50x50.jpg"))


# --- Pub/Sub ---------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    google = Issuer(tmp_path_factory.mktemp("issuer"))
    yield google
    google.stop()


@pytest.fixture(scope="module")
def told_by_pubsub(issuer, tmp_path_factory):
    server = tintype.Server(tmp_path_factory.mktemp("pubsub"), env=WITH_KEY | issuer.env | {"TINTYPE_LOG__LEVEL": "trace"})
    yield server
    server.stop()


def gcs_notice(key: str, kind: str = "OBJECT_FINALIZE", bucket: str = "tintype") -> dict:
    data = {"kind": "storage#object", "name": key, "bucket": bucket, "size": "3", "generation": "1587627537231057"}
    return {"message": {"attributes": {
        "bucketId": bucket, "eventType": kind, "objectId": key, "objectGeneration": data["generation"], "payloadFormat": "JSON_API_V1",
        "notificationConfig": "projects/_/buckets/b/notificationConfigs/1", "eventTime": "2026-01-02T03:04:05.678Z"},
        "data": base64.b64encode(json.dumps(data).encode()).decode(), "messageId": "2070443601311540", "message_id": "2070443601311540",
        "publishTime": "2026-01-02T03:04:05.7Z"}, "subscription": "projects/p/subscriptions/s"}


def with_token(server, token: str, message=None):
    return push(server, message or gcs_notice("temp/a.jpg"), headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})


def test_pubsub_pushes_with_a_token(told_by_pubsub, issuer):
    for n in range(3):
        answer = with_token(told_by_pubsub, issuer.token(), gcs_notice(f"temp/pubsub {n}.jpg"))
        assert answer.status_code == 200 and len(answer.json()["accepted"]) == 1, answer.text
    assert issuer.asked.count("/certs") == 1, "keys are kept"
    assert with_token(told_by_pubsub, issuer.token(), gcs_notice("temp/a.jpg", "OBJECT_DELETE")).json() == {"accepted": [], "ignored": []}
    ignored = with_token(told_by_pubsub, issuer.token(), gcs_notice("temp/a.jpg", bucket="other")).json()
    assert not ignored["accepted"] and "another bucket" in ignored["ignored"][0]["reason"]


def tokens(issuer, folder) -> dict:
    public = issuer.keys[issuer.kid].public
    by_public = lambda data: hmac.new(public, data, hashlib.sha256).digest()
    now = int(time.time())
    return {
        "expired": issuer.token(exp=now - 120, iat=now - 3720),
        "for ever": issuer.token(exp=None),
        "another audience": issuer.token(aud="https://other.example/"),
        "no audience": issuer.token(aud=None),
        "another issuer": issuer.token(iss="https://evil.example"),
        "another account": issuer.token(email="stranger@other.iam.gserviceaccount.com"),
        "no account": issuer.token(email=None),
        "unverified": issuer.token(email_verified=False),
        "not yet": issuer.token(nbf=now + 600),
        "unsigned": issuer.token(header={"alg": "none"}, sign=lambda data: b""),
        "signed by the public key": issuer.token(header={"alg": "HS256"}, sign=by_public),
        "another key": issuer.token(sign=RsaKey(folder).sign),
        "no key named": issuer.token(header={"kid": None}),
        "its own key": issuer.token(header={"kid": "x", "jku": issuer.url + "/certs"}),
        "cut": issuer.token()[:-4],
    }


def test_other_tokens_are_refused(told_by_pubsub, issuer, tmp_path):
    before = len(told_by_pubsub.daemon.log.read_text())
    for name, token in tokens(issuer, tmp_path).items():
        answer = with_token(told_by_pubsub, token, gcs_notice("temp/FORGED.jpg"))
        assert answer.status_code in (401, 403), (name, answer.text)
        said = told_by_pubsub.daemon.log.read_text()[before:] + answer.text
        assert not [part for part in token.split(".") if len(part) > 8 and part in said], name
        assert "FORGED" not in said
    # Its own right, of its own way: a token is no API key, and not in an address.
    assert told_by_pubsub.call("GET", "/v1/uploads", headers={"Authorization": f"Bearer {issuer.token()}"}).status_code == 401
    refused(push(told_by_pubsub, gcs_notice("temp/a.jpg"), f"?token={issuer.token()}"), 401)


def test_keys_are_fetched_again_when_the_issuer_changes_them(serve, tmp_path):
    issuer = Issuer(tmp_path / "issuer")
    server = serve(env=WITH_KEY | issuer.env)
    certs, issuer.pages["/certs"] = issuer.pages["/certs"], (500, {})
    refused(with_token(server, issuer.token()), 503)
    issuer.pages["/certs"] = certs
    assert with_token(server, issuer.token()).status_code == 200
    first = issuer.kid
    issuer.rotate("k2")
    # Not at once: whoever makes up keys makes no fetches.
    asked = len(issuer.asked)
    for _ in range(10):
        refused(with_token(server, issuer.token()), 401)
    assert len(issuer.asked) == asked
    assert with_token(server, issuer.token(first)).status_code == 200
    issuer.stop()


# --- Event Grid ------------------------------------------------------------------------------------

EVENTGRID_KEY = "eventgrid-key-0123456789"


@pytest.fixture(scope="module")
def told_by_azure(tmp_path_factory):
    server = tintype.Server(tmp_path_factory.mktemp("azure"), env=WITH_KEY | {"TINTYPE_EVENTS__EVENTGRID_KEY": EVENTGRID_KEY})
    yield server
    server.stop()


def blob_created(key: str, cloud: bool = False, container: str = "tintype") -> dict:
    event = {"id": "831e1650-001e-001b-66ab-eeb76e069631", "subject": f"/blobServices/default/containers/{container}/blobs/{key}",
             "data": {"api": "PutBlob", "eTag": "0x8D4BCC2E4835CD0", "contentType": "image/jpeg", "contentLength": 524288,
                      "blobType": "BlockBlob", "url": f"https://a.blob.core.windows.net/{container}/{key}"}}
    kind = "Microsoft.Storage.BlobCreated"
    return event | ({"specversion": "1.0", "type": kind, "source": "/subscriptions/x"} if cloud else
                    {"eventType": kind, "topic": "/subscriptions/x", "eventTime": "2026-01-02T03:04:05Z", "dataVersion": ""})


def test_event_grid_pushes_with_its_key(told_by_azure):
    ways = [dict(query=f"?code={EVENTGRID_KEY}"), dict(headers={"x-api-key": EVENTGRID_KEY}),
            dict(headers={"x-api-key": API_KEY}), dict(headers={"Authorization": f"Bearer {EVENTGRID_KEY}"})]
    for n, way in enumerate(ways):
        for body in ([blob_created(f"temp/{n} a.jpg")], blob_created(f"temp/{n} b.jpg", cloud=True), [blob_created("temp/c.jpg", cloud=True)]):
            answer = push(told_by_azure, body, **json.loads(json.dumps(way)))
            assert answer.status_code == 200 and len(answer.json()["accepted"]) == 1, (way, answer.text)
    for way in (dict(), dict(query="?code="), dict(query="?code=wrong"), dict(query=f"?code={EVENTGRID_KEY}x"),
                dict(query=f"?token={EVENTGRID_KEY}"), dict(headers={"x-api-key": "wrong"}), dict(query=f"?code={API_KEY}")):
        refused(push(told_by_azure, [blob_created("temp/FORGED.jpg")], **way), 401)
    assert told_by_azure.call("GET", f"/v1/uploads?code={EVENTGRID_KEY}").status_code == 401
    log = told_by_azure.daemon.log.read_text()
    assert "FORGED" not in log and EVENTGRID_KEY not in log


def test_event_grid_asks_before_it_pushes(told_by_azure):
    event = [{"id": "1", "topic": "/subscriptions/x", "subject": "", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
              "data": {"validationCode": "512d38b6-c7b8", "validationUrl": "http://127.0.0.1:1/validate"}, "dataVersion": "2"}]
    answer = push(told_by_azure, event, f"?code={EVENTGRID_KEY}", headers={"aeg-event-type": "SubscriptionValidation"})
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6-c7b8"})
    refused(push(told_by_azure, event), 401)


def test_cloud_events_asks_before_it_pushes(told_by_azure):
    ask = lambda query, **headers: told_by_azure.call("OPTIONS", f"/v1/events{query}", headers=headers)
    origin = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    answer = ask(f"?code={EVENTGRID_KEY}", **origin)
    assert answer.status_code == 200, answer.text
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net" and answer.headers["WebHook-Allowed-Rate"]
    for query in ("", "?code=wrong"):
        got = ask(query, **origin)
        assert refused(got, 401) and "WebHook-Allowed-Origin" not in got.headers


def test_on_loopback_alone_nobody_is_asked(serve):
    """No keys: only this machine can call, so its own stores push as they are."""
    server = serve()
    for body in (s3_event("temp/a.jpg"), gcs_notice("temp/b.jpg"), [blob_created("temp/c.jpg")]):
        assert len(push(server, body).json()["accepted"]) == 1
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], PHOTO).status == 204
