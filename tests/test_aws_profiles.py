"""Credentials from `~/.aws`, as `aws configure` leaves them there: no key in the environment, and a store that asks for the right ones."""
import json
import os
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests

import corpus
from support import s3, tintype
from support.ministack import TOOLS
from support.process import wait_for
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
KEYS = {"AccessKeyId": s3.ACCESS_KEY, "SecretAccessKey": s3.SECRET_KEY}


@pytest.fixture(scope="module")
def bucket(seaweedfs):
    return seaweedfs.bucket("photos-of-profiles")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)


class Home:
    """A user's folder, and what a program of theirs is given."""

    def __init__(self, at: Path, bucket):
        self.at = at
        (at / ".aws").mkdir(parents=True)
        (at / "bin").mkdir()
        # Machines of a cloud answer there; this one has no role, and is not to look for it.
        self.env = {"HOME": str(at), "PATH": f"{at}/bin:{os.environ['PATH']}", "TINTYPE_STORE__URL": f"s3://{bucket.bucket}",
                    "TINTYPE_STORE__ENDPOINT": bucket.endpoint}

    def write(self, name: str, text: str) -> None:
        (self.at / ".aws" / name).write_text(text)

    def program(self, name: str, text: str) -> Path:
        path = self.at / "bin" / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return path

    def keys_of(self, profile: str, file: str = "credentials") -> None:
        self.write(file, f"[{profile}]\naws_access_key_id = {s3.ACCESS_KEY}\naws_secret_access_key = {s3.SECRET_KEY}\n")


@pytest.fixture
def home(tmp_path, bucket):
    return Home(tmp_path / "home", bucket)


def takes_an_upload(serve, home: Home, **env) -> tintype.Server:
    server = serve(env=home.env | env)
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], PHOTO).status == 204
    server.announce(home.env["TINTYPE_STORE__URL"][5:], created["presign"]["fields"]["key"])
    assert server.finish(created["id"])["status"] == "completed"
    assert s3.SECRET_KEY not in server.log()
    return server


def printed(left: float, keys: dict = KEYS) -> str:
    ends = datetime.now(timezone.utc) + timedelta(seconds=left)
    return json.dumps({"Version": 1, **keys, "Expiration": ends.isoformat(timespec="seconds")})


@pytest.mark.skipif(not (TOOLS / "aws").exists(), reason="tests/install makes the AWS command line")
def test_what_aws_configure_wrote_is_enough(serve, home, bucket):
    """docs/aws.md begins with it."""
    done = subprocess.run([TOOLS / "aws", "configure"], input=f"{s3.ACCESS_KEY}\n{s3.SECRET_KEY}\neu-central-1\n\n", text=True,
                          env={**os.environ, **home.env}, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    server = takes_an_upload(serve, home)
    assert f"profile default of {home.at}/.aws/credentials" in server.log()
    assert "eu-central-1" in tintype.run("config", "--check", env=home.env).stdout + server.create()["presign"]["fields"]["x-amz-credential"]
    told = json.loads(tintype.run("doctor", f"s3://{bucket.bucket}", "--json", "--wait", "1s", env=home.env).stdout)
    [credentials] = [row for row in told["checks"] if row["check"] == "credentials"]
    assert credentials["state"] == "ok", credentials
    done = tintype.run("backfill", f"s3://{bucket.bucket}/temp/", "--dry-run", "--endpoint", bucket.endpoint, env=home.env)
    assert done.returncode == 0, done.stderr


def test_a_profile_by_its_name_and_files_elsewhere(serve, home):
    home.write("config", "[profile photos]\nregion = us-east-1\n")
    home.keys_of("photos", "elsewhere")
    takes_an_upload(serve, home, AWS_PROFILE="photos", AWS_SHARED_CREDENTIALS_FILE="~/.aws/elsewhere")


def test_keys_of_the_environment_go_first(serve, home):
    home.write("credentials", "[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n")
    server = takes_an_upload(serve, home, AWS_ACCESS_KEY_ID=s3.ACCESS_KEY, AWS_SECRET_ACCESS_KEY=s3.SECRET_KEY)
    assert "AWS_ACCESS_KEY_ID of the environment" in server.log()


@pytest.mark.parametrize("command", ["serve", "doctor", "backfill"])
def test_a_profile_that_is_missing_is_named_with_its_files(home, command, tmp_path):
    home.keys_of("default")
    bucket = home.env["TINTYPE_STORE__URL"]
    args = {"serve": ["--listen", "127.0.0.1:0", "--data", tmp_path / "data"]}.get(command, [bucket])
    done = tintype.run(command, *args, env=home.env | {"AWS_PROFILE": "photso"}, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "photso" in said and f"{home.at}/.aws/credentials" in said and f"{home.at}/.aws/config" in said
    assert s3.ACCESS_KEY not in said and "panicked" not in said


def test_half_a_key_is_named(home, tmp_path):
    home.write("credentials", "[default]\naws_access_key_id = AKIAHALF\n")
    done = tintype.run("serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", env=home.env, timeout=60)
    assert done.returncode != 0 and "has no aws_secret_access_key" in done.stderr and "AKIAHALF" not in done.stderr


def test_a_process_prints_them(serve, home):
    program = home.program("give-keys", f"[ \"$1\" = 'for photos' ] && echo '{printed(3600)}'")
    home.write("config", f"[profile photos]\ncredential_process = {program} 'for photos'\n")
    takes_an_upload(serve, home, AWS_PROFILE="photos")


def test_a_session_of_sso_by_the_command_line_and_renewed_before_it_ends(serve, home):
    """`aws configure export-credentials` is the documented way to what `aws sso login` got; its place is taken by a program
    that prints what it prints, and counts."""
    home.write("config", "[profile work]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = Photos\n"
                         "[sso-session work]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n")
    answer, asked = home.at / "answer", home.at / "asked"
    answer.write_text(printed(8))
    home.program("aws", f'echo "$*" >> {asked}\nexec cat {answer}\n')
    server = takes_an_upload(serve, home, AWS_PROFILE="work")
    assert asked.read_text().splitlines()[0] == "configure export-credentials --format process --profile work"
    assert "export-credentials` for profile work" in server.log()
    assert len(asked.read_text().splitlines()) <= 2, "one session signs many calls"

    # The session ends: with a new one it goes on, without one it says what to do.
    answer.write_text(printed(3600))
    time.sleep(8)
    assert wait_for("the renewed session", lambda: requests.get(server.url + "/readyz", timeout=10).status_code == 200)
    assert 2 <= len(asked.read_text().splitlines()) <= 3

    home.program("aws", "echo 'Error loading SSO Token: Token for work does not exist' >&2; exit 255\n")
    other = tintype.run("doctor", home.env["TINTYPE_STORE__URL"], "--wait", "1s", env=home.env | {"AWS_PROFILE": "work"}, timeout=60)
    said = " ".join(other.stdout.split())  # its lines are broken where a terminal's are
    assert other.returncode == 1 and "aws sso login --profile work" in said and "Token for work" in said, other.stdout


USAGE_OF_VERSION_1 = """
Note: AWS CLI version 2, the latest major version of the AWS CLI, is now stable and recommended for general use.

usage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]
To see help text, you can run:
  aws help

aws: error: argument operation: Invalid choice, valid choices are:

add-model                                | get
import                                   | list
"""


@pytest.mark.parametrize("command", ["doctor", "backfill"])
@pytest.mark.parametrize("found", ["version 1", "none"])
def test_the_command_line_has_to_be_of_version_2(home, command, found):
    """`pip install awscli` gives version 1, which knows no `export-credentials`."""
    home.write("config", "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/Photos\nsource_profile = default\n")
    if found == "version 1":
        home.program("aws", f"cat >&2 <<'END'\n{USAGE_OF_VERSION_1}END\nexit 252\n")
    else:
        home.env["PATH"] = str(home.at / "bin")
    done = tintype.run(command, home.env["TINTYPE_STORE__URL"], env=home.env | {"AWS_PROFILE": "work"}, timeout=60)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and "takes version 2 of the AWS command line" in said, said
    assert "docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html" in said
    assert said.count("AWS_ACCESS_KEY_ID") == 1, "what to do is said once"
    for wrong in ("denied access", "Generic S3", "usage:", "log in", "Install it"):
        assert wrong not in said, said


def test_a_session_that_runs_out_while_a_new_one_is_not_to_be_had(serve, home):
    home.write("config", "[profile work]\nsso_start_url = https://example.awsapps.com/start\n")
    answer = home.at / "answer"
    answer.write_text(printed(310))
    home.program("aws", f"exec cat {answer}\n")
    server = takes_an_upload(serve, home, AWS_PROFILE="work")
    answer.write_text("no JSON")
    # Ten seconds later it would be renewed; that fails, and what is good still serves.
    time.sleep(11)

    def is_told():
        assert requests.get(server.url + "/readyz", timeout=10).status_code == 200
        return "were not renewed" in server.log()

    assert wait_for("a word of it", is_told)
