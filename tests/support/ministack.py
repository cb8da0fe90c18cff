"""A local AWS that runs the real `bootstrap`: S3, Lambda, SQS, SNS, EventBridge, CloudFormation."""
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import boto3
import requests
from botocore.client import Config

from .process import REPO, Daemon, free_port, wait_for

TOOLS = REPO / ".peers/aws/bin"
DEPLOY = REPO / "deploy/aws"


def certificate(folder: Path) -> Path:
    """One for loopback that nobody signed but itself; its key is beside it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True)
    return folder / "cert.pem"


class MiniStack:
    """`strict` has it check signatures, and who may do what; `tls` has it speak nothing else, as the templates' policies want."""

    def __init__(self, home: Path, strict: bool = False, tls: bool = False):
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.port = home, free_port()
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.certificate = certificate(home) if tls else None
        self.env = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                    "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1", "AWS_PAGER": "",
                    "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        trust = {}
        if tls:
            self.env |= {"AWS_CA_BUNDLE": str(self.certificate), "SSL_CERT_FILE": str(self.certificate)}
            trust = {"USE_SSL": "1", "MINISTACK_SSL_CERT": str(self.certificate), "MINISTACK_SSL_KEY": str(home / "key.pem"),
                     "SSL_CERT_FILE": str(self.certificate)}
        self._aws_program()
        self.daemon = Daemon(
            [TOOLS / "ministack"], home / "ministack.log", cwd=home,
            env=trust | {"BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port),
                 "IOT_MTLS_ENABLED": "0", "TMPDIR": str(home), "HOME": str(home), "AUTH": str(strict).lower(),
                 # Functions get it from here.
                 "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                 # AWS waits a minute and two before it tries a failed call again.
                 "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2", "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "0.5"})
        self.daemon.wait_ready(lambda: requests.get(f"{self.endpoint}/_ministack/health", timeout=2, verify=self.trusted).status_code == 200, 60)

    @property
    def trusted(self) -> str | bool:
        """For `verify` of requests and boto3."""
        return str(self.certificate) if self.certificate else True

    def _aws_program(self) -> None:
        """`aws` for scripts: the real one. Of SQS it does not read the address from the environment."""
        (self.home / "bin").mkdir()
        program = self.home / "bin/aws"
        program.write_text(f'#!/bin/sh\nexec {TOOLS}/aws --endpoint-url {self.endpoint} "$@"\n')
        program.chmod(0o755)

    def client(self, service: str):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", verify=self.trusted, config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}))

    def aws(self, *args, check: bool = True) -> str:
        """The AWS command line, as a user types it."""
        done = subprocess.run([self.home / "bin/aws", *map(str, args)], capture_output=True, text=True, cwd=self.home,
                              env={**os.environ, **self.env}, timeout=180)
        assert not check or done.returncode == 0, f"aws {args}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def shell(self, script: str) -> str:
        """Lines for a shell, in the repository, as a page prints them."""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, cwd=REPO, timeout=300,
                              env={**os.environ, **self.env, "PATH": f"{self.home}/bin:{TOOLS}:{os.environ['PATH']}"})
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def deploy(self, template: Path, stack: str, **parameters) -> dict:
        """`aws cloudformation package` and `deploy`; gives the stack's outputs."""
        template = Path(template)
        if "cloudformation" not in template.parts:
            code = self.bucket("code")
            packaged = self.home / f"{stack}.yaml"
            self.aws("cloudformation", "package", "--template-file", template, "--s3-bucket", code,
                     "--output-template-file", packaged)
            template = packaged
        self.aws("cloudformation", "deploy", "--stack-name", stack, "--template-file", template, "--s3-bucket",
                 self.bucket("code"), "--capabilities", "CAPABILITY_IAM", "--parameter-overrides",
                 *(f"{name}={value}" for name, value in parameters.items()))
        self._numbers(parameters)
        found = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {o["OutputKey"]: o["OutputValue"] for o in found["Outputs"]}

    def _numbers(self, parameters: dict) -> None:
        """A parameter that a template refers to stays a text here, and the poller then fails on it; AWS makes it a number."""
        functions = self.client("lambda")
        for mapping in functions.list_event_source_mappings(FunctionName=parameters["LambdaFunctionName"])["EventSourceMappings"]:
            functions.update_event_source_mapping(
                UUID=mapping["UUID"], BatchSize=int(mapping["BatchSize"]), ScalingConfig={"MaximumConcurrency": 2})

    def bucket(self, name: str) -> str:
        self.client("s3").create_bucket(Bucket=name)
        return name

    def stop(self) -> None:
        self.daemon.stop(grace=5)
