"""How providers prove who pushes: SNS's signatures and Google's tokens, made with openssl, from servers on loopback."""
import base64
import json
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from .process import free_port


def openssl(*args, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *map(str, args)], input=data, check=True, capture_output=True).stdout


class RsaKey:
    """An RSA key, and certificates for it."""

    def __init__(self, folder: Path, name: str = "key"):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"))

    def sign(self, data: bytes, digest: str = "sha256") -> bytes:
        return openssl("dgst", f"-{digest}", "-sign", self.file, data=data)

    def certificate(self, *args) -> bytes:
        return openssl("req", "-x509", "-new", "-key", self.file, "-subj", "/CN=sns.amazonaws.com", *(args or ("-days", "30")))

    def expired(self) -> bytes:
        """A certificate of last year."""
        request = self.file.with_suffix(".csr")
        request.write_bytes(openssl("req", "-new", "-key", self.file, "-subj", "/CN=sns.amazonaws.com"))
        folder = self.file.parent / "ca"
        folder.mkdir(exist_ok=True)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        config = folder / "ca.cnf"
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index.txt\nserial={folder}/serial\nnew_certs_dir={folder}\n"
                          "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        return openssl("ca", "-batch", "-config", config, "-selfsign", "-keyfile", self.file, "-in", request, "-notext",
                       "-startdate", "20250101000000Z", "-enddate", "20250201000000Z")

    @property
    def modulus(self) -> bytes:
        text = openssl("rsa", "-in", self.file, "-modulus", "-noout").decode().strip().split("=")[1]
        return bytes.fromhex(text)

    @property
    def public(self) -> bytes:
        return openssl("rsa", "-in", self.file, "-pubout")


class Web:
    """A server that answers what is in `pages`, a path each: bytes, or a status and headers, or what gives one of these. Keeps what
    was asked for."""

    def __init__(self):
        self.pages: dict[str, bytes | tuple[int, dict]] = {}
        self.asked: list[str] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append(self.path)
                page = web.pages.get(self.path.split("?")[0], (404, {}))
                page = page() if callable(page) else page
                status, headers, body = (200, {}, page) if isinstance(page, bytes) else (*page, b"")
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Sns(Web):
    """SNS as it speaks HTTP. A Tintype whose `aws.endpoint` is this believes its certificate."""
    TOPIC = "arn:aws:sns:us-east-1:123456789012:photos"
    CERTIFICATE = "/SimpleNotificationService-0a1b2c.pem"

    def __init__(self, folder: Path):
        super().__init__()
        self.key = RsaKey(folder)
        self.pages = {self.CERTIFICATE: self.key.certificate(), "/": b"<ConfirmSubscriptionResponse/>"}
        self.env = {"TINTYPE_AWS__ENDPOINT": self.url, "TINTYPE_EVENTS__SNS_TOPICS": self.TOPIC}

    def message(self, text: str, kind: str = "Notification", version: str = "2", age: float = 0, key: RsaKey | None = None,
                **changes) -> dict:
        """A message as SNS signs it. `changes` are made before it is signed."""
        at = datetime.now(timezone.utc) - timedelta(seconds=age)
        message = {"Type": kind, "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": self.TOPIC, "Message": text,
                   "Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z", "SignatureVersion": version,
                   "SigningCertURL": self.url + self.CERTIFICATE, "UnsubscribeURL": f"{self.url}/?Action=Unsubscribe"}
        if kind != "Notification":
            query = urlencode({"Action": "ConfirmSubscription", "TopicArn": self.TOPIC, "Token": "SNS-TOKEN-2336"})
            message |= {"Token": "SNS-TOKEN-2336", "SubscribeURL": f"{self.url}/?{query}"}
        message |= changes
        names = (["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"] if kind == "Notification" else
                 ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"])
        signed = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
        digest = {"1": "sha1"}.get(version, "sha256")
        message["Signature"] = base64.b64encode((key or self.key).sign(signed.encode(), digest)).decode()
        return message


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer(Web):
    """Google's accounts: keys at `/certs`, tokens as Pub/Sub pushes them."""
    AUDIENCE = "https://img.example.com/v1/events"
    EMAIL = "push@project.iam.gserviceaccount.com"

    def __init__(self, folder: Path):
        super().__init__()
        self.folder, self.keys = folder, {}
        self.rotate("k1")
        self.env = {"TINTYPE_EVENTS__OIDC__JWKS_URL": f"{self.url}/certs", "TINTYPE_EVENTS__OIDC__AUDIENCE": self.AUDIENCE,
                    "TINTYPE_EVENTS__OIDC__EMAILS": self.EMAIL}

    def rotate(self, kid: str) -> None:
        """From now on this key signs, and the others are gone."""
        self.kid, self.keys[kid] = kid, RsaKey(self.folder, kid)
        jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": b64url(self.keys[kid].modulus), "e": "AQAB"}
        self.pages["/certs"] = json.dumps({"keys": [jwk]}).encode()

    def token(self, kid: str | None = None, header: dict | None = None, sign=None, **claims) -> str:
        """A token; a claim that is None is left out."""
        now, kid = int(time.time()), kid or self.kid
        claims = {"iss": "https://accounts.google.com", "aud": self.AUDIENCE, "email": self.EMAIL, "email_verified": True,
                  "sub": "113774264463038321964", "iat": now, "exp": now + 3600} | claims
        parts = [{"alg": "RS256", "kid": kid, "typ": "JWT"} | (header or {}), {k: v for k, v in claims.items() if v is not None}]
        text = ".".join(b64url(json.dumps(part).encode()) for part in parts)
        return f"{text}.{b64url((sign or self.keys[kid].sign)(text.encode()))}"
