"""Step 4: what a client does with a presign. Two drivers, one signature: (presign, bytes, ...) -> Answer."""
import http.client
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree import ElementTree

import requests


@dataclass
class Answer:
    status: int
    headers: dict
    text: str

    @property
    def code(self) -> str | None:
        """The code of an S3 error, which must be XML."""
        if not self.text.strip():
            return None
        root = ElementTree.fromstring(self.text)
        return next((node.text for node in root.iter() if node.tag.rsplit("}")[-1] == "Code"), None)


def boto3_style(presign: dict, data: bytes, filename: str = "photo.jpg", content_type: str = "image/jpeg") -> Answer:
    """As boto3's documentation tells to use a presigned POST: `requests`, fields as data, one file."""
    got = requests.post(presign["url"], data=presign["fields"], files={"file": (filename, data, content_type)},
                        allow_redirects=False, timeout=60)
    return Answer(got.status_code, {k.lower(): v for k, v in got.headers.items()}, got.text)


def by_hand(presign: dict, data: bytes, filename: str = "photo.jpg", content_type: str = "image/jpeg") -> Answer:
    """A form written by hand: fields in the server's order, the file last, as the seed's client sends it."""
    boundary = f"----tintype{uuid.uuid4().hex}"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in presign["fields"].items()]
    parts += [f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
              f"Content-Type: {content_type}\r\n\r\n".encode(), data, f"\r\n--{boundary}--\r\n".encode()]
    url = urlsplit(presign["url"])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    try:
        connection.request("POST", (url.path or "/") + (f"?{url.query}" if url.query else ""), b"".join(parts),
                           {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        got = connection.getresponse()
        return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode(errors="replace"))
    finally:
        connection.close()


DRIVERS = {"boto3-form": boto3_style, "plain-multipart": by_hand}


def with_fields(presign: dict, **changes) -> dict:
    """The presign with fields changed; None takes one away. `__` in a name stands for `-`."""
    fields = dict(presign["fields"])
    for name, value in changes.items():
        name = name.replace("__", "-")
        fields.pop(name, None) if value is None else fields.update({name: value})
    return {**presign, "fields": fields}
