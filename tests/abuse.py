"""What was tried against the API and the embedded store, and what must come of it: one table, run by test_abuse.py and
printed as docs/abuse.md. A case is (what, how, statuses, codes); `how` gets a `Scene` and gives the answer."""
import base64
import datetime
import hashlib
import json
from dataclasses import dataclass
from typing import Callable
from urllib.parse import quote, urlsplit

import boto3
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from standardwebhooks import Webhook

import corpus
from support import s3, wire
from support.receiver import SECRET
from support.tintype import Server
from support.wire import Answer

KEY = "an-api-key-of-the-tests"
IMAGE = corpus.good()["1x1.png"]
ZERO = "0" * 32


@dataclass
class Scene:
    """A server without keys and one with, each with its own store."""
    open: Server
    keyed: Server
    secret: str = SECRET

    # --- the API ---

    def api(self, method: str, path: str, body=None, headers: dict | list | None = None, keyed: bool = False) -> Answer:
        server = self.keyed if keyed else self.open
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        if data and not any(name.lower() == "content-type" for name, _ in pairs):
            pairs.append(("Content-Type", "application/json"))
        return wire.request(method, server.url, pairs, data, path)

    def made(self, keyed: bool = False, **body) -> dict:
        headers = {"Authorization": f"Bearer {KEY}"} if keyed else {}
        answer = self.api("POST", "/v1/uploads", body, headers, keyed)
        assert answer.status == 201, answer
        return json.loads(answer.body)

    # --- the store's form ---

    def form(self, change: Callable[[dict], dict | None] = lambda fields: None, file: bytes = IMAGE, name: str = '; filename="a.png"', **body) -> Answer:
        presign = self.made(filename="a.png", metadata={"id": "5"}, **body)["presign"]
        fields = dict(presign["fields"])
        fields = change(fields) or fields
        return self.send([*((n, "", str(v).encode()) for n, v in fields.items()), ("file", name, file)], presign["url"])

    def send(self, parts: list, url: str | None = None) -> Answer:
        headers, body = wire.multipart(parts)
        return wire.request("POST", url or f"{self.open.store}/tintype", headers, body)

    def named(self, filename: str, more: str = "", key: str = "temp/named/${filename}") -> Answer:
        """A form whose signer left the end of the key to the client."""
        signed = boto3_post(self.open.store, key, [["starts-with", "$key", "temp/named/"]])
        return self.send([*((n, "", str(v).encode()) for n, v in signed.items()), ("file", more or f'; filename="{filename}"', IMAGE)])

    # --- the rest of S3 ---

    def anyone(self, method: str, target: str, headers: dict | None = None, body: bytes = b"") -> Answer:
        return wire.request(method, self.open.store, headers, body, target)

    def owner(self, method: str, target: str, body: bytes = b"", headers: dict | None = None, age: int = 0, sent: str | None = None, other: bytes | None = None) -> Answer:
        """Signed by header with the store's account, so many seconds ago; `sent` is another target, `other` are other bytes than
        those that are signed."""
        request = AWSRequest(method, self.open.store + target, dict(headers or {}), body)
        signer = S3SigV4Auth(Credentials(s3.ACCESS_KEY, s3.SECRET_KEY), "s3", s3.REGION)
        with clock(age):
            signer.add_auth(request)
        return wire.request(method, self.open.store, dict(request.headers.items()), body if other is None else other, sent or target)

    def url(self, method: str, target: str, change: Callable[[str], str] = lambda url: url, age: int = 0, lifetime: int = 60,
            signer=S3SigV4QueryAuth, sent: str | None = None, body: bytes = b"", headers: dict | None = None) -> Answer:
        """Signed by query."""
        request = AWSRequest(method, self.open.store + target, {})
        who = Credentials(s3.ACCESS_KEY, s3.SECRET_KEY)
        with clock(age):
            (signer(who, expires=lifetime) if signer is HmacV1QueryAuth else signer(who, "s3", s3.REGION, lifetime)).add_auth(request)
        return wire.request(sent or method, change(request.url), headers, body)

    # --- a remote processor ---

    def result(self, body: dict, to: str | None = None, age: int = 0, forged: str | None = None, secret: str | None = None, message: str | None = None) -> Answer:
        upload = to or self.made(keyed=True)["id"]
        text, message = json.dumps(body).replace("{id}", upload), message or f"{upload}.1"
        at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
        headers = {"webhook-id": message, "webhook-timestamp": str(int(at.timestamp())),
                   "webhook-signature": Webhook(secret or self.secret).sign(message, at, text)}
        return self.api("PUT", f"/v1/uploads/{upload}/result", (forged or text).encode(), headers, keyed=True)


class clock:
    """botocore's own, so many seconds back."""

    def __init__(self, age: int):
        self.age = age

    def __enter__(self):
        import botocore.auth
        self.real, age = botocore.auth.get_current_datetime, self.age
        botocore.auth.get_current_datetime = lambda *a, **k: self.real(*a, **k) - datetime.timedelta(seconds=age)

    def __exit__(self, *_):
        import botocore.auth
        botocore.auth.get_current_datetime = self.real


def boto3_post(store: str, key: str, conditions: list, fields: dict | None = None, expires: int = 60, **client) -> dict:
    made = s3.client(store, **client).generate_presigned_post("tintype", key, fields, conditions, expires)
    return made["fields"]


def with_field(**changes) -> Callable[[dict], None]:
    def change(fields: dict) -> None:
        for name, value in changes.items():
            name = name.replace("__", "-")
            fields.pop(name, None) if value is None else fields.update({name: value})
    return change


def encoded(policy: dict | str) -> str:
    return base64.b64encode((policy if isinstance(policy, str) else json.dumps(policy)).encode()).decode()


def credential(at: int, value: str) -> Callable[[dict], None]:
    def change(fields: dict) -> None:
        parts = fields["x-amz-credential"].split("/")
        parts[at] = value
        fields["x-amz-credential"] = "/".join(parts)
    return change


def renamed(old: str, new: str) -> Callable[[dict], dict]:
    return lambda fields: {new if name == old else name: value for name, value in fields.items()}


def form_replayed(at: Scene) -> Answer:
    """Nothing is kept of it: test_deleted_upload_stays_deleted looks."""
    upload = at.made(filename="a.png")
    parts = [*((n, "", str(v).encode()) for n, v in upload["presign"]["fields"].items()), ("file", '; filename="a"', IMAGE)]
    assert at.send(parts).status == 204
    at.open.finish(upload["id"])
    assert at.api("DELETE", f"/v1/uploads/{upload['id']}").status == 204
    again = at.send(parts)
    assert at.api("GET", f"/v1/uploads/{upload['id']}").status == 404
    assert at.open.at.s3.list_objects_v2(Bucket="tintype", Prefix=f"temp/{upload['id']}")["KeyCount"] == 0
    return again


def two_files(at: Scene) -> Answer:
    upload = at.made(filename="a.png")
    fields = [(n, "", str(v).encode()) for n, v in upload["presign"]["fields"].items()]
    answer = at.send([*fields, ("file", '; filename="a"', IMAGE), ("file", '; filename="b"', b"<script>")])
    assert at.open.at.s3.head_object(Bucket="tintype", Key=upload["presign"]["fields"]["key"])["ContentLength"] == len(IMAGE)
    return answer


def ordered(order: Callable[[list], list]) -> Callable[[Scene], Answer]:
    def how(at: Scene) -> Answer:
        fields = at.made(filename="a.png")["presign"]["fields"]
        return at.send(order([*((n, "", str(v).encode()) for n, v in fields.items()), ("file", '; filename="a"', IMAGE)]))
    return how


def signed_policy(document: dict | str, fields: dict, age: int = 0) -> Callable[[Scene], Answer]:
    """A policy of the store's own account, whatever it says."""
    def how(at: Scene) -> Answer:
        now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
        day, text = now.strftime("%Y%m%d"), encoded(document)
        request = AWSRequest("POST", at.open.store)
        request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
        signer = S3SigV4Auth(Credentials(s3.ACCESS_KEY, s3.SECRET_KEY), "s3", s3.REGION)
        signed = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": f"{s3.ACCESS_KEY}/{day}/{s3.REGION}/s3/aws4_request",
                  "x-amz-date": request.context["timestamp"], "policy": text, "x-amz-signature": signer.signature(text, request)}
        return at.send([*((n, "", v.encode()) for n, v in (fields | signed).items()), ("file", '; filename="a"', IMAGE)])
    return how


SOON = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
ANY = [["starts-with", f"${n}", ""] for n in ("key", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "Content-Type", "x-amz-meta-a", "success_action_redirect", "Cache-Control")]
ALL = {"expiration": SOON, "conditions": [{"bucket": "tintype"}, *ANY]}


def policy(*conditions, **more) -> dict:
    return {"expiration": SOON, "conditions": [{"bucket": "tintype"}, *ANY, *conditions]} | more


FORMS = [
    ("policy replaced by one without conditions", lambda at: at.form(with_field(policy=encoded({"expiration": SOON, "conditions": []}))), 403, "SignatureDoesNotMatch"),
    ("policy that is not base64", lambda at: at.form(with_field(policy="%%%")), 403, "SignatureDoesNotMatch"),
    ("policy with a space more", lambda at: at.form(lambda f: f.update(policy=encoded(base64.b64decode(f["policy"]).decode() + " "))), 403, "SignatureDoesNotMatch"),
    ("signature in capitals", lambda at: at.form(lambda f: f.update({"x-amz-signature": f["x-amz-signature"].upper()})), 403, "SignatureDoesNotMatch"),
    ("signature cut off", lambda at: at.form(lambda f: f.update({"x-amz-signature": f["x-amz-signature"][:32]})), 403, "SignatureDoesNotMatch"),
    ("signature of another upload's form", lambda at: at.form(with_field(x__amz__signature=at.made()["presign"]["fields"]["x-amz-signature"])), 403, "SignatureDoesNotMatch"),
    ("policy and signature of another upload's form", lambda at: at.form(lambda f: f.update({n: v for n, v in at.made(filename="b.png")["presign"]["fields"].items() if n in ("policy", "x-amz-signature")})), 403, "AccessDenied"),
    ("algorithm AWS4-HMAC-SHA1", lambda at: at.form(with_field(x__amz__algorithm="AWS4-HMAC-SHA1")), 400, "InvalidArgument"),
    ("no algorithm", lambda at: at.form(with_field(x__amz__algorithm=None)), 400, "InvalidArgument"),
    ("version 2's fields", lambda at: at.form(lambda f: {"key": f["key"], "AWSAccessKeyId": s3.ACCESS_KEY, "policy": f["policy"], "signature": "x"}), 400, "InvalidRequest"),
    ("credential of another day", lambda at: at.form(credential(1, "20200101")), 403, "SignatureDoesNotMatch"),
    ("credential of another region", lambda at: at.form(credential(2, "eu-west-1")), 403, "SignatureDoesNotMatch"),
    ("credential of another service", lambda at: at.form(credential(3, "ec2")), 400, "AuthorizationQueryParametersError"),
    ("credential of another account", lambda at: at.form(credential(0, "SOMEBODY")), 403, "InvalidAccessKeyId"),
    ("credential of a day that is none", lambda at: at.form(lambda f: (credential(1, "２０２６１１")(f), None)[1]), 403, "SignatureDoesNotMatch"),
    ("expired policy, signed", signed_policy(policy(expiration="2020-01-01T00:00:00Z"), {"key": "temp/x"}), 403, "AccessDenied"),
    ("signed policy without end", signed_policy({"conditions": [{"bucket": "tintype"}, *ANY]}, {"key": "temp/x"}), 400, "InvalidPolicyDocument"),
    ("signed policy whose end is no time", signed_policy(policy(expiration="tomorrow"), {"key": "temp/x"}), 400, "InvalidPolicyDocument"),
    ("signed policy with an unknown condition", signed_policy(policy(["not", "$key", "x"]), {"key": "temp/x"}), 400, "InvalidPolicyDocument"),
    ("signed policy of 10000 brackets", signed_policy("[" * 10_000, {"key": "temp/x"}), 400, "InvalidPolicyDocument"),
    ("signed policy with a range that is negative", signed_policy(policy(["content-length-range", -1, 5]), {"key": "temp/x"}), 400, "InvalidPolicyDocument"),
    ("signed policy with two ranges: the narrower holds", signed_policy(policy(["content-length-range", 1, 10485760], ["content-length-range", 1, 5]), {"key": "temp/x"}), 400, "EntityTooLarge"),
    ("signed policy for another bucket", signed_policy({"expiration": SOON, "conditions": [{"bucket": "other"}, *ANY]}, {"key": "temp/x"}), 403, "AccessDenied"),
    ("form sent to another bucket", lambda at: wire.request("POST", at.open.store + "/other", *wire.multipart([("key", "", b"temp/x"), ("file", "", b"x")])), 404, "NoSuchBucket"),
    ("form of a deleted upload: taken, and nothing kept", form_replayed, 204, None),
    ("file of no bytes", lambda at: at.form(file=b""), 400, "EntityTooSmall"),
    ("file one byte over what was announced", lambda at: at.form(size=len(IMAGE) - 1), 400, "EntityTooLarge"),
    ("file one byte under", lambda at: at.form(size=len(IMAGE) + 1), 400, "EntityTooSmall"),
    ("file before the fields", ordered(lambda parts: parts[::-1]), 400, "InvalidArgument"),
    ("file before the signature", ordered(lambda parts: parts[:-2] + [parts[-1], parts[-2]]), {400, 403}, {"InvalidArgument", "AccessDenied"}),
    ("two files: the second is ignored", two_files, 204, None),
    ("no file", ordered(lambda parts: parts[:-1]), 400, "InvalidArgument"),
    ("field after the file: ignored", ordered(lambda parts: [*parts, ("acl", "", b"public-read")]), 204, None),
    ("field twice, in capitals", ordered(lambda parts: [("KEY", "", b"temp/other"), *parts]), 400, "InvalidArgument"),
    ("field named like a known one with a space", lambda at: at.form(lambda f: f.update({"key ": "image/x"})), 403, "AccessDenied"),
    ("extra field success_action_redirect", lambda at: at.form(with_field(success_action_redirect="http://evil.example/")), 403, "AccessDenied"),
    ("extra field x-amz-storage-class", lambda at: at.form(with_field(x__amz__storage__class="GLACIER")), 403, "AccessDenied"),
    ("fields of 30 KB", lambda at: at.form(lambda f: {"x-ignore-a": "x" * 30_000} | f), 400, "MaxPostPreDataLengthExceeded"),
    ("names of 30 KB without values", lambda at: at.send([(f"x-ignore-{n:0200}", "", b"") for n in range(150)]), 400, "MaxPostPreDataLengthExceeded"),
    ("10000 fields", lambda at: at.send([(f"{n}", "", b"") for n in range(10_000)]), 400, {"MaxPostPreDataLengthExceeded", "MalformedPOSTRequest"}),
    ("boundary of 5000 bytes", lambda at: wire.request("POST", at.open.store + "/tintype", {"Content-Type": "multipart/form-data; boundary=" + "b" * 5000}, b"--b\r\n"), 400, {"MalformedPOSTRequest", "InvalidArgument"}),
    ("no boundary", lambda at: wire.request("POST", at.open.store + "/tintype", {"Content-Type": "multipart/form-data"}, b"x"), 400, "MalformedPOSTRequest"),
    ("part without a name", lambda at: wire.request("POST", at.open.store + "/tintype", {"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\n\r\nx\r\n--b--"), 400, {"InvalidArgument", "MalformedPOSTRequest"}),
]

KEYS = [
    ("key of another folder", lambda at: at.form(with_field(key="image/a.png")), 403, "AccessDenied"),
    ("key with `..`", signed_policy(ALL, {"key": "temp/../image/a.png"}), 400, "InvalidArgument"),
    ("key with `//`", signed_policy(ALL, {"key": "temp//a.png"}), 400, "InvalidArgument"),
    ("key from the root", signed_policy(ALL, {"key": "/etc/passwd"}), 400, "InvalidArgument"),
    ("key that ends in a slash", signed_policy(ALL, {"key": "temp/a/"}), 400, "InvalidArgument"),
    ("key with a NUL", signed_policy(ALL, {"key": "temp/a\0b"}), 400, "InvalidArgument"),
    ("key with a line break", signed_policy(ALL, {"key": "temp/a\r\nX-Evil: 1"}), 400, "InvalidArgument"),
    ("key of 1025 bytes", signed_policy(ALL, {"key": "temp/" + "x/" * 510 + "x"}), 400, "InvalidArgument"),
    ("key with a name of 300 bytes", signed_policy(ALL, {"key": "temp/" + "x" * 300}), 400, "KeyTooLongError"),
    ("key with `%2e%2e`: a name like any other", signed_policy(ALL, {"key": "temp/%2e%2e/a"}), 204, None),
    ("`${filename}` of ../../image/x.png: its last part", lambda at: at.named("../../image/x.png"), 204, None),
    ("`${filename}` of /etc/passwd: its last part", lambda at: at.named("/etc/passwd"), 204, None),
    ("`${filename}` of ..\\..\\x.png: its last part", lambda at: at.named("", '; filename="..\\..\\x.png"'), 204, None),
    ("`${filename}` of ..", lambda at: at.named(".."), 400, "InvalidArgument"),
    ("`${filename}` of nothing", lambda at: at.named(""), 400, "InvalidArgument"),
    ("`${filename}` of a folder", lambda at: at.named("image/"), 400, "InvalidArgument"),
    ("`${filename}` with a NUL", lambda at: at.named("a\0b.png"), 400, None),
    ("`${filename}` with a line break", lambda at: at.named("a\r\nX-Evil: 1"), 400, None),
    ("`${filename}` of ％2e％2e∕x: a name like any other", lambda at: at.named("．．∕image∕x.png"), 204, None),
    ("`${filename}` of %2e%2e%2fx.png: a name like any other", lambda at: at.named("%2e%2e%2fx.png"), 204, None),
    ("`${filename}` by filename*, encoded", lambda at: at.named("", "; filename*=UTF-8''..%2F..%2Fimage%2Fx.png"), {204, 400}, None),
    ("`${filename}` of bytes that are no UTF-8", lambda at: at.named("\udcc0\udcae\udcc0\udcaf.png"), {204, 400}, None),
    ("`${filename}` of 2000 bytes", lambda at: at.named("x" * 2000), 400, "InvalidArgument"),
    ("`${filename}` twice in a key", lambda at: at.named("a", key="temp/named/${filename}/${filename}"), 204, None),
    ("`${filename}` that holds `${filename}`", lambda at: at.named("${filename}"), 204, None),
    ("anyone, /tintype/image/../temp/x", lambda at: at.anyone("GET", "/tintype/image/../temp/x"), {400, 403}, {"AccessDenied", "InvalidArgument"}),
    ("anyone, /tintype/image/%2e%2e/temp/x", lambda at: at.anyone("GET", "/tintype/image/%2e%2e/temp/x"), {400, 403}, {"AccessDenied", "InvalidArgument"}),
    ("anyone, /tintype/image%2f..%2ftemp%2fx", lambda at: at.anyone("GET", "/tintype/image%2f..%2ftemp%2fx"), {400, 403}, {"AccessDenied", "InvalidArgument"}),
    ("anyone, //tintype/image/x", lambda at: at.anyone("GET", "//tintype/image/x"), {400, 403, 404}, None),
    ("anyone, /tintype/image/..%5c..%5ctemp", lambda at: at.anyone("GET", "/tintype/image/..%5c..%5ctemp"), 404, "NoSuchKey"),
    ("anyone, a path that is no UTF-8", lambda at: at.anyone("GET", "/tintype/image/%ff%fe"), 400, None),
    ("anyone, a NUL", lambda at: at.anyone("GET", "/tintype/image/%00"), {400, 404}, None),
    ("owner, PUT with `..`", lambda at: at.owner("PUT", "/tintype/temp/../image/x", b"x"), {400, 403}, None),
    ("owner, PUT of 1025 bytes of key", lambda at: at.owner("PUT", "/tintype/" + "x/" * 512 + "x", b"x"), 400, {"InvalidArgument", "KeyTooLongError"}),
]

HEADERS = [
    ("metadata name with a line break", lambda at: at.api("POST", "/v1/uploads", {"metadata": {"a\r\nX-Evil": "1"}}), 400, "invalid_request"),
    ("metadata value with a line break", lambda at: at.api("POST", "/v1/uploads", {"metadata": {"a": "1\r\nX-Evil: 1"}}), 400, "invalid_request"),
    ("metadata value that is no ASCII", lambda at: at.api("POST", "/v1/uploads", {"metadata": {"a": "grüße"}}), 400, "invalid_request"),
    ("metadata of 3000 bytes", lambda at: at.api("POST", "/v1/uploads", {"metadata": {"a": "x" * 3000}}), 400, "invalid_request"),
    ("metadata names that differ in case", lambda at: at.api("POST", "/v1/uploads", {"metadata": {"a": 1, "A": 2}}), 400, "invalid_request"),
    ("content type with a line break", lambda at: at.api("POST", "/v1/uploads", {"content_type": "image/png\r\nX-Evil: 1"}), 400, "invalid_request"),
    ("content type with a parameter", lambda at: at.api("POST", "/v1/uploads", {"content_type": "image/png; a=b"}), 400, "invalid_request"),
    ("file name with a line break", lambda at: at.api("POST", "/v1/uploads", {"filename": "a\r\nX-Evil: 1.png"}), 400, "invalid_request"),
    ("form, metadata value with a line break", signed_policy(ALL, {"key": "temp/h", "x-amz-meta-a": "1\r\nX-Evil: 1"}), 400, "InvalidArgument"),
    ("form, metadata value that is no ASCII", signed_policy(ALL, {"key": "temp/h", "x-amz-meta-a": "grüße"}), 400, "InvalidArgument"),
    ("form, metadata name that no header has", signed_policy(policy(["starts-with", "$x-amz-meta-a b", ""]), {"key": "temp/h", "x-amz-meta-a b": "1"}), 400, "InvalidArgument"),
    ("form, type that no header has", signed_policy(ALL, {"key": "temp/h", "Content-Type": "image/ü"}), 400, "InvalidArgument"),
    ("form, field name with a control character, twice", lambda at: at.send([("a\x01<&", "", b"1"), ("a\x01<&", "", b"2")]), 400, {"InvalidArgument", "MalformedPOSTRequest"}),
    ("form, redirect with a line break", signed_policy(ALL, {"key": "temp/h", "success_action_redirect": "http://a/\r\nX-Evil: 1"}), 400, "InvalidArgument"),
    ("form, redirect to javascript:, signed: none follows", signed_policy(ALL, {"key": "temp/h", "success_action_redirect": "javascript:alert(1)"}), 204, None),
    ("signed GET, response-content-type with a line break", lambda at: at.url("GET", "/tintype/image/none?response-content-type=" + quote("a\r\nX-Evil: 1")), {400, 403, 404}, None),
    ("anyone, response-content-type", lambda at: at.anyone("GET", "/tintype/image/none?response-content-type=text/html"), 400, "InvalidRequest"),
]

PROTOCOL = [
    ("X-HTTP-Method-Override: ignored", lambda at: at.api("GET", f"/v1/uploads/{at.made()['id']}", headers={"X-HTTP-Method-Override": "DELETE"}), 200, None),
    ("HEAD of an upload", lambda at: at.api("HEAD", f"/v1/uploads/{at.made()['id']}"), 200, None),
    ("OPTIONS of the API from a foreign page: allowed nothing", lambda at: at.api("OPTIONS", "/v1/uploads", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}), 200, None),
    ("TRACE", lambda at: at.api("TRACE", "/v1/uploads"), 405, "method_not_allowed"),
    ("a method that nobody knows", lambda at: at.api("BREW", "/v1/uploads"), 405, "method_not_allowed"),
    ("CONNECT", lambda at: at.api("CONNECT", "127.0.0.1:22"), {400, 403, 404, 405}, None),
    ("TRACE of the store", lambda at: at.anyone("TRACE", "/tintype"), {400, 403, 405, 501}, None),
    ("Host of another name", lambda at: at.api("GET", "/v1/uploads", headers={"Host": "evil.example"}), 403, "forbidden"),
    ("Host that is no name", lambda at: at.api("GET", "/v1/uploads", headers={"Host": "127.0.0.1@evil.example"}), 403, "forbidden"),
    ("Host 127.0.0.1.evil.example", lambda at: at.api("GET", "/v1/uploads", headers={"Host": "127.0.0.1.evil.example"}), 403, "forbidden"),
    ("own Host, by a proxy: X-Forwarded-For", lambda at: at.api("GET", "/v1/uploads", headers={"X-Forwarded-For": "203.0.113.9"}), 403, "forbidden"),
    ("own Host, by a proxy: Forwarded", lambda at: at.api("GET", "/v1/uploads", headers={"Forwarded": "for=203.0.113.9"}), 403, "forbidden"),
    ("own Host, by a proxy: X-Forwarded-Proto", lambda at: at.api("GET", "/v1/uploads", headers={"X-Forwarded-Proto": "https"}), 403, "forbidden"),
    ("own Host, by a proxy: CF-Connecting-IP", lambda at: at.api("GET", "/v1/uploads", headers={"CF-Connecting-IP": "203.0.113.9"}), 403, "forbidden"),
    ("own Host, by a proxy: X-Client-IP", lambda at: at.api("GET", "/v1/uploads", headers={"X-Client-IP": "203.0.113.9"}), 403, "forbidden"),
    ("two Hosts, the second foreign", lambda at: at.api("GET", "/v1/uploads", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")]), {400, 403}, None),
    ("absolute form of a foreign name", lambda at: at.api("GET", "http://evil.example/v1/uploads"), {400, 403}, None),
    ("no Host, which no browser leaves out", lambda at: wire.exchange(at.open.url, b"GET /v1/uploads HTTP/1.1\r\nConnection: close\r\n\r\n")[0], {200, 400}, None),
    ("two lengths that differ", lambda at: at.api("POST", "/v1/uploads", b"{}", headers=[("Content-Length", "2"), ("Content-Length", "5"), ("Content-Type", "application/json")]), 400, None),
    ("a length that is negative", lambda at: at.api("POST", "/v1/uploads", b"{}", headers={"Content-Length": "-1"}), 400, None),
    ("a length with a plus", lambda at: at.api("POST", "/v1/uploads", b"{}", headers={"Content-Length": "+2"}), 400, None),
    ("length and chunks (CL.TE): no second request", lambda at: smuggled(at, "Content-Length: 4\r\nTransfer-Encoding: chunked"), {201, 400}, None),
    ("chunks and length (TE.CL): no second request", lambda at: smuggled(at, "Transfer-Encoding: chunked\r\nContent-Length: 5"), {201, 400}, None),
    ("Transfer-Encoding: xchunked", lambda at: smuggled(at, "Transfer-Encoding: xchunked"), 400, None),
    ("Transfer-Encoding: chunked, identity", lambda at: smuggled(at, "Transfer-Encoding: chunked, identity"), 400, None),
    ("space before a header's colon", lambda at: smuggled(at, "Content-Length : 4"), 400, None),
    ("header over two lines", lambda at: smuggled(at, "X-A: 1\r\n Content-Length: 4"), 400, None),
    ("header with a NUL", lambda at: smuggled(at, "X-A: \0"), 400, None),
    ("HTTP/9.9", lambda at: wire.exchange(at.open.url, b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n")[0], 400, None),
    ("chunk of 4 GiB by its length", lambda at: smuggled(at, "Transfer-Encoding: chunked", b"FFFFFFFFFFFFFFFFF\r\nx"), 400, None),
]


def smuggled(at: Scene, headers: str, body: bytes = b"2\r\n{}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") -> Answer:
    """What comes first; a second answer would be to a request that the first one's body hid."""
    head = f"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}\r\n\r\n"
    got = wire.exchange(at.open.url, head.encode() + body)
    assert len(got) == 1, got
    return got[0]


SIGNED = [
    ("URL for another key", lambda at: at.url("GET", "/tintype/temp/a", lambda u: u.replace("temp/a", "temp/b")), 403, "SignatureDoesNotMatch"),
    ("URL with its lifetime made longer", lambda at: at.url("GET", "/tintype/temp/a", lambda u: u.replace("Expires=60", "Expires=600")), 403, "SignatureDoesNotMatch"),
    ("URL with a query more", lambda at: at.url("GET", "/tintype/temp/a", lambda u: u + "&response-content-type=text/html"), 403, "SignatureDoesNotMatch"),
    ("URL that has expired", lambda at: at.url("GET", "/tintype/temp/a", age=120, lifetime=60), 403, "AccessDenied"),
    ("URL of tomorrow", lambda at: at.url("GET", "/tintype/temp/a", age=-86400), 403, None),
    ("URL for eight days", lambda at: at.url("GET", "/tintype/temp/a", lifetime=8 * 86400), 400, "AuthorizationQueryParametersError"),
    ("URL to read, used to write", lambda at: at.url("GET", "/tintype/temp/a", sent="PUT", body=b"x"), 403, "SignatureDoesNotMatch"),
    ("URL to read, used to remove", lambda at: at.url("GET", "/tintype/temp/a", sent="DELETE"), 403, "SignatureDoesNotMatch"),
    ("URL of version 2", lambda at: at.url("GET", "/tintype/temp/a", signer=HmacV1QueryAuth), {400, 403}, None),
    ("URL to write, with a header its signer did not sign", lambda at: at.url("PUT", "/tintype/temp/a", body=b"x", headers={"x-amz-meta-admin": "1"}), 403, "AccessDenied"),
    ("URL to write, copying from temp/", lambda at: at.url("PUT", "/tintype/image/a", headers={"x-amz-copy-source": "/tintype/temp/a"}), {403, 501}, None),
    ("header signed 16 minutes ago", lambda at: at.owner("GET", "/tintype/temp/a", age=16 * 60), 403, "RequestTimeTooSkewed"),
    ("header signed 16 minutes ahead", lambda at: at.owner("GET", "/tintype/temp/a", age=-16 * 60), 403, "RequestTimeTooSkewed"),
    ("header signed for another key", lambda at: at.owner("GET", "/tintype/temp/a", sent="/tintype/temp/b"), 403, "SignatureDoesNotMatch"),
    ("header signed for other bytes", lambda at: at.owner("PUT", "/tintype/temp/other-bytes", b"x", other=b"y"), {400, 403}, None),
    ("Authorization of garbage", lambda at: at.anyone("GET", "/tintype/temp/a", {"Authorization": "AWS4-HMAC-SHA256 garbage"}), {400, 403}, None),
    ("Authorization of another account", lambda at: at.anyone("GET", "/tintype/temp/a", {"Authorization": "AWS4-HMAC-SHA256 Credential=X/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64, "x-amz-date": "20260101T000000Z", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}), {400, 403}, None),
]

SUBRESOURCES = ("policy", "acl", "versions", "uploads", "website", "cors", "lifecycle", "notification", "versioning", "tagging", "encryption", "location")
STRANGERS = [
    *[(f"GET ?{what}", lambda at, what=what: at.anyone("GET", f"/tintype?{what}"), 403, "AccessDenied") for what in SUBRESOURCES],
    *[(f"PUT ?{what}", lambda at, what=what: at.anyone("PUT", f"/tintype?{what}", body=b"<a/>"), {400, 403}, None) for what in ("policy", "acl", "cors", "notification", "versioning")],
    ("list of buckets", lambda at: at.anyone("GET", "/"), 403, "AccessDenied"),
    ("list of objects", lambda at: at.anyone("GET", "/tintype?list-type=2"), 403, "AccessDenied"),
    ("list of image/", lambda at: at.anyone("GET", "/tintype?prefix=image/"), 403, "AccessDenied"),
    ("GET of an original", lambda at: at.anyone("GET", "/tintype/temp/a"), 403, "AccessDenied"),
    ("HEAD of an original", lambda at: at.anyone("HEAD", "/tintype/temp/a"), 403, None),
    ("PUT of an original", lambda at: at.anyone("PUT", "/tintype/temp/a", body=b"x"), 403, "AccessDenied"),
    ("PUT of a variant", lambda at: at.anyone("PUT", "/tintype/image/a.png", body=b"x"), 403, "AccessDenied"),
    ("DELETE of a variant", lambda at: at.anyone("DELETE", "/tintype/image/a.png"), 403, "AccessDenied"),
    ("copy from temp/ to image/", lambda at: at.anyone("PUT", "/tintype/image/a", {"x-amz-copy-source": "/tintype/temp/a"}), 403, "AccessDenied"),
    ("several removed at once", lambda at: at.anyone("POST", "/tintype?delete", body=b"<Delete><Object><Key>image/a</Key></Object></Delete>"), {400, 403}, None),
    ("a multipart upload begun", lambda at: at.anyone("POST", "/tintype/temp/a?uploads"), 403, "AccessDenied"),
    ("the bucket made anew", lambda at: at.anyone("PUT", "/other"), 403, "AccessDenied"),
    ("the bucket removed", lambda at: at.anyone("DELETE", "/tintype"), 403, "AccessDenied"),
    ("ACL of a variant", lambda at: at.anyone("GET", "/tintype/image/a?acl"), 403, "AccessDenied"),
    ("owner, copy: not served", lambda at: at.owner("PUT", "/tintype/image/a", headers={"x-amz-copy-source": "/tintype/temp/a"}), 501, "NotImplemented"),
    ("owner, XML that swells (entities)", lambda at: delete_xml(at, b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>'), 400, None),
    ("owner, XML that reads a file (XXE)", lambda at: delete_xml(at, b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&a;</Key></Object></Delete>'), 400, None),
    ("owner, XML 100000 deep", lambda at: delete_xml(at, b"<Delete>" + b"<a>" * 100_000), 400, None),
    ("owner, keys with `..` removed: there are none", lambda at: delete_xml(at, b"<Delete><Object><Key>../../etc/passwd</Key></Object></Delete>"), 200, None),
]


def delete_xml(at: Scene, xml: bytes) -> Answer:
    md5 = base64.b64encode(hashlib.md5(xml).digest()).decode()
    return at.owner("POST", "/tintype?delete=", xml, {"Content-MD5": md5})


def bearer(text: str) -> dict:
    return {"Authorization": f"Bearer {text}"}


API = [
    ("no key", lambda at: at.api("GET", "/v1/uploads", keyed=True), 401, "unauthorized"),
    ("another key", lambda at: at.api("GET", "/v1/uploads", headers=bearer("guess"), keyed=True), 401, "unauthorized"),
    ("key in the address", lambda at: at.api("GET", f"/v1/uploads?token={KEY}", keyed=True), 401, "unauthorized"),
    ("key's hash as key", lambda at: at.api("GET", "/v1/uploads", headers=bearer(hashlib.sha256(KEY.encode()).hexdigest()), keyed=True), 401, "unauthorized"),
    ("key under another scheme", lambda at: at.api("GET", "/v1/uploads", headers={"Authorization": f"Token {KEY}"}, keyed=True), 401, "unauthorized"),
    ("Basic of garbage", lambda at: at.api("GET", "/v1/uploads", headers={"Authorization": "Basic %%%"}, keyed=True), 401, "unauthorized"),
    ("Authorization twice, the first wrong", lambda at: at.api("GET", "/v1/uploads", headers=[("Authorization", "Bearer no"), ("Authorization", f"Bearer {KEY}")], keyed=True), 401, "unauthorized"),
    ("token of an upload, to make one", lambda at: at.api("POST", "/v1/uploads", {}, bearer(at.made(keyed=True)["token"]), keyed=True), 401, "unauthorized"),
    ("token of an upload, to list", lambda at: at.api("GET", "/v1/uploads", headers=bearer(at.made(keyed=True)["token"]), keyed=True), 401, "unauthorized"),
    ("token of an upload, for another", lambda at: at.api("GET", f"/v1/uploads/{at.made(keyed=True)['id']}", headers=bearer(at.made(keyed=True)["token"]), keyed=True), 401, "unauthorized"),
    ("token of an upload, to remove it", lambda at: (lambda u: at.api("DELETE", f"/v1/uploads/{u['id']}", headers=bearer(u["token"]), keyed=True))(at.made(keyed=True)), 401, "unauthorized"),
    ("token of an upload, to retry it", lambda at: (lambda u: at.api("POST", f"/v1/uploads/{u['id']}/retry", headers=bearer(u["token"]), keyed=True))(at.made(keyed=True)), 401, "unauthorized"),
    ("token of an upload, to end it", lambda at: (lambda u: at.api("PUT", f"/v1/uploads/{u['id']}/result", {"error": "x"}, bearer(u["token"]), keyed=True))(at.made(keyed=True)), 401, "unauthorized"),
    ("token cut short", lambda at: (lambda u: at.api("GET", f"/v1/uploads/{u['id']}", headers=bearer(u["token"][:-1]), keyed=True))(at.made(keyed=True)), 401, "unauthorized"),
    ("events of an upload with a bad token", lambda at: at.api("GET", f"/v1/uploads/{at.made(keyed=True)['id']}/events?token=bad", keyed=True), 401, "unauthorized"),
    ("an id that is not there, no key: not told apart", lambda at: at.api("GET", f"/v1/uploads/{ZERO}", keyed=True), 401, "unauthorized"),
    ("deliveries without a key", lambda at: at.api("GET", "/v1/deliveries", keyed=True), 401, "unauthorized"),
    ("deliveries sent again without a key", lambda at: at.api("POST", "/v1/deliveries/resend", {"status": "dead"}, keyed=True), 401, "unauthorized"),
    ("leave to push events asked for without a key", lambda at: at.api("OPTIONS", "/v1/events", headers={"WebHook-Request-Origin": "evil.example"}, keyed=True), 401, "unauthorized"),
    ("storage events without a key", lambda at: at.api("POST", "/v1/events", event("temp/a"), keyed=True), 401, "unauthorized"),
    ("id of ..%2f", lambda at: at.api("GET", "/v1/uploads/..%2f..%2fetc"), 404, "not_found"),
    ("id of %00", lambda at: at.api("GET", "/v1/uploads/%00"), 404, "not_found"),
    ("id that is no UTF-8", lambda at: at.api("GET", "/v1/uploads/%ff"), 404, "not_found"),
    ("id of 33 digits", lambda at: at.api("GET", f"/v1/uploads/{ZERO}0"), 404, "not_found"),
    ("id of SQL", lambda at: at.api("GET", "/v1/uploads/" + quote("' OR 1=1 --")), 404, "not_found"),
    ("path with `..`", lambda at: at.api("GET", "/v1/../v1/uploads"), 404, "not_found"),
    ("JSON 100000 deep", lambda at: at.api("POST", "/v1/uploads", b"[" * 100_000), 400, "invalid_request"),
    ("JSON of 5 MiB", lambda at: at.api("POST", "/v1/uploads", b" " * (5 << 20)), 413, "too_large"),
    ("JSON that is no UTF-8", lambda at: at.api("POST", "/v1/uploads", b'{"filename": "\xff\xfe"}'), 400, "invalid_request"),
    ("JSON in UTF-16", lambda at: at.api("POST", "/v1/uploads", '{"size": 1}'.encode("utf-16")), 400, "invalid_request"),
    ("JSON of another type", lambda at: at.api("POST", "/v1/uploads", b"{}", {"Content-Type": "text/plain"}), 415, "invalid_request"),
    ("JSON as a form", lambda at: at.api("POST", "/v1/uploads", b"{}", {"Content-Type": "application/x-www-form-urlencoded"}), 415, "invalid_request"),
    ("a name twice: the last counts", lambda at: at.api("POST", "/v1/uploads", b'{"size": 1, "size": 2}'), 201, None),
    ("a name that is none", lambda at: at.api("POST", "/v1/uploads", {"sise": 1}), 400, "invalid_request"),
    ("size of 1e999", lambda at: at.api("POST", "/v1/uploads", b'{"size": 1e999}'), 400, "invalid_request"),
    ("size of 2^64", lambda at: at.api("POST", "/v1/uploads", b'{"size": 18446744073709551616}'), 400, "invalid_request"),
    ("size of 2^63", lambda at: at.api("POST", "/v1/uploads", {"size": 1 << 63}), 413, "too_large"),
    ("size of -1", lambda at: at.api("POST", "/v1/uploads", {"size": -1}), 400, "invalid_request"),
    ("size of 0", lambda at: at.api("POST", "/v1/uploads", {"size": 0}), 400, "invalid_request"),
    ("size of 1.5", lambda at: at.api("POST", "/v1/uploads", {"size": 1.5}), 400, "invalid_request"),
    ("preset with a NUL", lambda at: at.api("POST", "/v1/uploads", {"preset": "a\0"}), 400, "invalid_request"),
    ("list of none", lambda at: at.api("POST", "/v1/uploads", []), 400, "invalid_request"),
    ("list of 101", lambda at: at.api("POST", "/v1/uploads", [{}] * 101), 400, "invalid_request"),
    ("list in a list", lambda at: at.api("POST", "/v1/uploads", [[{}]]), 400, "invalid_request"),
    ("Idempotency-Key of nothing", lambda at: at.api("POST", "/v1/uploads", {}, {"Idempotency-Key": ""}), 400, "invalid_request"),
    ("Idempotency-Key of 256 characters", lambda at: at.api("POST", "/v1/uploads", {}, {"Idempotency-Key": "k" * 256}), 400, "invalid_request"),
    ("Idempotency-Key that is no ASCII", lambda at: at.api("POST", "/v1/uploads", {}, {"Idempotency-Key": "é"}), 400, "invalid_request"),
    ("Idempotency-Key again, another request", lambda at: [at.api("POST", "/v1/uploads", body, {"Idempotency-Key": "abuse-1"}) for body in ({}, {"filename": "a.png"})][-1], 422, "idempotency_conflict"),
    ("Idempotency-Key again, as a list", lambda at: [at.api("POST", "/v1/uploads", body, {"Idempotency-Key": "abuse-2"}) for body in ({}, [{}])][-1], 422, "idempotency_conflict"),
    ("cursor of nonsense", lambda at: at.api("GET", "/v1/uploads?cursor=%27%20OR%201=1"), 400, "invalid_request"),
    ("cursor of another time", lambda at: at.api("GET", "/v1/uploads?cursor=" + base64.urlsafe_b64encode(b"9" * 60 + b" x").decode().rstrip("=")), 400, "invalid_request"),
    ("limit of -1", lambda at: at.api("GET", "/v1/uploads?limit=-1"), 400, "invalid_request"),
    ("limit of 2^64", lambda at: at.api("GET", "/v1/uploads?limit=18446744073709551616"), 400, "invalid_request"),
    ("wait of a century", lambda at: at.api("GET", f"/v1/uploads/{at.made()['id']}?wait=1e10"), 400, "invalid_request"),
    ("status that is none", lambda at: at.api("GET", "/v1/uploads?status=%27"), 400, "invalid_request"),
]


def event(key: str, bucket: str = "tintype", source: str = "aws:s3") -> dict:
    return {"Records": [{"eventSource": source, "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}


def ignored(at: Scene, body: dict) -> Answer:
    answer = at.api("POST", "/v1/events", body)
    told = json.loads(answer.body)
    assert told["accepted"] == [] and len(told["ignored"]) == 1, told
    return answer


def wrapped(times: int) -> dict:
    body = event("temp/a")
    for _ in range(times):
        body = {"Type": "Notification", "Message": json.dumps(body)}
    return body


MESSAGES = [
    ("event of another bucket: ignored", lambda at: ignored(at, event("temp/a", "other")), 200, None),
    ("event of a variant: ignored", lambda at: ignored(at, event("image/a.png")), 200, None),
    ("event of a variant, encoded: ignored", lambda at: ignored(at, event("image%2Fa.png")), 200, None),
    ("event of a key with `..`: ignored", lambda at: ignored(at, event("temp/../image/a")), 200, None),
    ("event of a key with `..`, encoded: ignored", lambda at: ignored(at, event("temp%2F..%2Fimage%2Fa")), 200, None),
    ("event of a key of 2000 bytes: ignored", lambda at: ignored(at, event("temp/" + "x" * 2000)), 200, None),
    ("event of a key with a NUL: ignored", lambda at: ignored(at, event("temp/a%00")), 200, None),
    ("event without a record", lambda at: at.api("POST", "/v1/events", {"Records": []}), 200, None),
    ("event with a record that is none", lambda at: at.api("POST", "/v1/events", {"Records": [7]}), 400, "invalid_request"),
    ("event wrapped twelve times", lambda at: at.api("POST", "/v1/events", wrapped(12)), 400, "invalid_request"),
    ("event of nonsense", lambda at: at.api("POST", "/v1/events", b"\xff"), 400, "invalid_request"),
    ("result without signature", lambda at: at.api("PUT", f"/v1/uploads/{at.made(keyed=True)['id']}/result", {"error": "x"}, keyed=True), 401, "unauthorized"),
    ("result signed by another secret", lambda at: at.result({"error": "x"}, secret="whsec_" + base64.b64encode(bytes(32)).decode()), 401, "unauthorized"),
    ("result signed six minutes ago", lambda at: at.result({"error": "x"}, age=360), 401, "unauthorized"),
    ("result changed after it was signed", lambda at: at.result({"error": "x"}, forged='{"error": "y"}'), 401, "unauthorized"),
    ("result that does not say which upload it is of, signed", lambda at: at.result({"error": "x"}, message="msg_1"), 401, "unauthorized"),
    ("result of another upload, played back", lambda at: at.result({"error": "x"}, message=ZERO + ".1"), 401, "unauthorized"),
    ("result of another upload, signed", lambda at: at.result({"id": ZERO, "error": "x"}), 400, "invalid_request"),
    ("result for an upload that is not there, signed", lambda at: at.result({"error": "x"}, to=ZERO), 404, "not_found"),
    ("result that names a variant that is not there", lambda at: at.result({"processed_key": "image/{id}.png"}), 409, "variant_missing"),
    ("result that names a variant of another upload", lambda at: at.result({"processed_key": "image/none.png"}), 422, "foreign_variant"),
    ("result that names an original", lambda at: at.result({"processed_key": "temp/a"}), 400, "invalid_request"),
    ("result that names `..`", lambda at: at.result({"processed_key": "image/../temp/a"}), 400, "invalid_request"),
    ("result completed without a manifest", lambda at: at.result({"status": "completed"}), 400, "invalid_request"),
    ("result of nothing", lambda at: at.result({}), 400, "invalid_request"),
    ("timestamp of -2^63", lambda at: at.api("PUT", f"/v1/uploads/{ZERO}/result", {"error": "x"}, {"webhook-id": "m", "webhook-timestamp": str(-(1 << 63)), "webhook-signature": "v1,x"}, keyed=True), 401, "unauthorized"),
]

TABLE = {
    "The form of the embedded store": FORMS,
    "Keys and file names": KEYS,
    "What travels as a header": HEADERS,
    "HTTP itself": PROTOCOL,
    "Signatures of the embedded store": SIGNED,
    "Strangers at the embedded store, and XML": STRANGERS,
    "The API": API,
    "Storage events, and results of remote processors": MESSAGES,
}


def as_set(what) -> set:
    return what if isinstance(what, set) else {what}


def document() -> str:
    """docs/abuse.md."""
    lines = ["# What was tried", "", "Each line is a test: `tests/test_abuse.py` sends the request to a real server and holds the answer against this table,",
             "which is printed from `tests/abuse.py`. No answer is a 5xx, save S3's own 501 for what the store does not serve, and none",
             "carries a header that the request put there. \"Signed\" is by the store's own account: what follows from a signature is tried, too.", ""]
    for title, cases in TABLE.items():
        lines += [f"## {title}", "", "| tried | status | code |", "| --- | --- | --- |"]
        for what, _, statuses, codes in cases:
            named = ", ".join(f"`{code}`" for code in sorted(c for c in as_set(codes) if c))
            lines.append(f"| {what} | {' or '.join(map(str, sorted(as_set(statuses))))} | {named} |")
        lines.append("")
    return "\n".join(lines).replace("\0", "\\0")
