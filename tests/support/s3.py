"""What the real stores have in common: credentials, a boto3 client, a bucket ready for Tintype."""
import json
from dataclasses import dataclass, field

import boto3
from botocore.client import Config

ACCESS_KEY = "tintypetest"
SECRET_KEY = "tintype+test/secret"
REGION = "us-east-1"


def client(endpoint: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY, service: str = "s3",
           token: str | None = None):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id=access_key,
        aws_secret_access_key=secret_key, aws_session_token=token,
        config=Config(signature_version="s3v4" if service == "s3" else "v4",
                      s3={"addressing_style": "path"}, retries={"max_attempts": 2}))


@dataclass
class Store:
    """A store the tests can use, and what Tintype must be told to use it too."""
    name: str
    endpoint: str
    bucket: str
    env: dict = field(default_factory=dict)
    notifies: bool = False  # does it tell Tintype of an upload by itself?

    @property
    def s3(self):
        return client(self.endpoint)


def tintype_env(endpoint: str, bucket: str) -> dict:
    return {
        "TINTYPE_STORE__URL": f"s3://{bucket}", "TINTYPE_STORE__ENDPOINT": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION,
    }


def read_policy(bucket: str) -> str:
    """Anyone may read image/, as in the embedded store."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/image/*"]}]})
