"""How Tintype is installed: image, compose, systemd, crates. Their own checkers, and what a running server really needs."""
import hashlib
import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
import requests
import yaml

import corpus
from support import decoders, tintype
from support.process import REPO, Daemon, free_port, listening
from support.upload import boto3_style
from test_tls import certificate

DEPLOY = REPO / "deploy"
UNIT = DEPLOY / "systemd/tintype.service"
DOCKERFILE = DEPLOY / "docker/Dockerfile"
WORKSPACE = tomllib.loads((REPO / "Cargo.toml").read_text())["workspace"]["package"]
PHOTO = corpus.good()["baseline.jpg"]


def tool(*argv, **options) -> str:
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


# --- health ---

def test_health_of_a_server(serve):
    server = serve(env={"HTTP_PROXY": "http://127.0.0.1:9"})
    here = {"TINTYPE_SERVER__LISTEN": f"0.0.0.0:{server.port}", "HTTP_PROXY": "http://127.0.0.1:9"}
    assert (answer := tintype.run("health", env=here)).returncode == 0, answer.stderr
    assert answer.stdout == "ready\n"
    assert tintype.run("health", server.url + "/readyz").returncode == 0
    elsewhere = tintype.run("health", server.url + "/nowhere")
    assert elsewhere.returncode == 1 and "404" in elsewhere.stderr and "log" in elsewhere.stderr
    server.stop()
    gone = tintype.run("health", env=here)
    assert gone.returncode == 1 and "refused" in gone.stderr and "tintype serve" in gone.stderr
    assert tintype.run("health", "img.example.com").returncode == 2


# --- the image, and what runs it ---

def test_dockerfile_is_linted():
    tool(REPO / ".peers/aws-lint/bin/hadolint", "--failure-threshold", "info", DOCKERFILE)


def test_versions_agree():
    text = DOCKERFILE.read_text()
    compiler = re.search(r"^FROM docker.io/library/rust:(\d+)\.(\d+)-slim-(\w+) AS build$", text, re.M)
    assert tuple(map(int, compiler.groups()[:2])) >= tuple(map(int, WORKSPACE["rust-version"].split(".")))
    # The certificates and time zones are of the same Debian.
    debian = {"bookworm": "12", "trixie": "13"}[compiler[3]]
    assert re.search(rf"^FROM gcr.io/distroless/static-debian{debian}:nonroot$", text, re.M)
    assert f"ARG VERSION={WORKSPACE['version']}\n" in text
    assert compose()["services"]["tintype"]["image"] == f"tintype:{WORKSPACE['version']}"


@cache
def compose() -> dict:
    return yaml.safe_load(tool("docker-compose", "--env-file", ".env.example", "config", cwd=DEPLOY / "compose"))


def test_compose_file_is_valid_and_confines():
    for name, service in compose()["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"] and service["mem_limit"] and service["healthcheck"]["test"], name
    assert "ports" not in compose()["services"]["tintype"], "only the proxy is reached from outside"
    refused = subprocess.run(["docker-compose", "config"], cwd=DEPLOY / "compose", capture_output=True, text=True,
                             env={k: v for k, v in os.environ.items() if k != "TINTYPE_HOST"})
    assert refused.returncode != 0 and ".env.example" in refused.stderr


def test_settings_of_image_and_compose_are_known(tmp_path):
    """Every variable is one that the program takes: it refuses those that it does not know."""
    image = re.findall(r"(TINTYPE_\w+)=(\S+)", DOCKERFILE.read_text())
    env = dict(image) | {k: str(v) for k, v in compose()["services"]["tintype"]["environment"].items()}
    assert len(image) == 3 and len(env) >= 8
    checked = tintype.run("config", "--check", env=env, cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert tintype.run("config", "--check", env=env | {"TINTYPE_STORE__PORT": "9000"}, cwd=tmp_path).returncode == 2
    # As the image starts without a key: it ends, and says why.
    ports = {"TINTYPE_SERVER__LISTEN": f"0.0.0.0:{free_port()}", "TINTYPE_STORE__LISTEN": f"127.0.0.1:{free_port()}"}
    keyless = tintype.run("serve", env=env | ports | {"TINTYPE_SERVER__DATA": str(tmp_path)}, timeout=20)
    assert keyless.returncode == 2 and "keys create" in keyless.stderr


def test_proxy_of_compose(serve, tmp_path, monkeypatch):
    cert, key = certificate(tmp_path / "tls", "proxy")
    api, store = free_port(), free_port()
    server = serve(env={"TINTYPE_SERVER__PUBLIC_URL": f"https://localhost:{api}", "TINTYPE_STORE__ENDPOINT": f"https://localhost:{store}",
                        "TINTYPE_AUTH__KEYS": "sha256:" + hashlib.sha256(b"key").hexdigest()})
    conf = (DEPLOY / "compose/nginx.conf").read_text()
    for old, new in (("/tmp/", f"{tmp_path}/"), ("tintype:8000", f"127.0.0.1:{server.port}"), ("tintype:9000", f"127.0.0.1:{server.store_port}"),
                     ("listen 8443", f"listen 127.0.0.1:{api}"), ("listen 9443", f"listen 127.0.0.1:{store}"),
                     ("/etc/tls/fullchain.pem", str(cert)), ("/etc/tls/privkey.pem", str(key)),
                     ("/dev/stdout", f"{tmp_path}/access.log")):
        assert old in conf
        conf = conf.replace(old, new)
    (tmp_path / "nginx.conf").write_text("user root;\n" * (os.geteuid() == 0) + conf)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    nginx = Daemon(["/usr/sbin/nginx", "-e", "stderr", "-c", tmp_path / "nginx.conf", "-g", "daemon off;"], tmp_path / "nginx.log")
    try:
        nginx.wait_ready(lambda: listening(api) and listening(store))
        server.url = f"https://localhost:{api}"
        assert server.call("GET", "/v1/uploads").status_code == 401
        server.http.headers["Authorization"] = "Bearer key"
        created = server.create(filename="a b.jpg")
        assert created["presign"]["url"].startswith(f"https://localhost:{store}/")
        assert boto3_style(created["presign"], PHOTO).status == 204
        put = server.create(filename="b.jpg", method="PUT")["presign"]
        assert requests.put(put["url"], data=PHOTO, headers=put["headers"], timeout=30).ok
        events = requests.get(created["events_url"] + "?token=" + created["token"], stream=True, timeout=30)
        assert any("completed" in line for line in events.iter_lines(decode_unicode=True))
        image = server.finish(created["id"])["manifest"]["variants"][0]
        assert len(requests.get(image["url"], timeout=30).content) == image["bytes"]
    finally:
        nginx.stop()
    log = (tmp_path / "access.log").read_text()
    assert "/v1/uploads/" in log and created["token"] not in log


# --- systemd ---

def test_unit_is_valid_and_tight(tmp_path):
    unit = tmp_path / "tintype.service"
    # There is no /usr/bin/tintype on this machine; and what verify warns of, it does not fail for.
    unit.write_text(UNIT.read_text().replace("/usr/bin/tintype", str(tintype.BINARY)).replace("Documentation=file:", "#"))
    assert tool("systemd-analyze", "verify", unit) == ""
    # Exposure from 0 to 100. What is left is the network, and /proc/stat for metrics.
    tool("systemd-analyze", "security", "--offline=true", "--threshold=16", UNIT)
    tool("systemd-sysusers", "--dry-run", DEPLOY / "systemd/tintype.sysusers")


def test_example_settings_of_systemd(tmp_path):
    config = DEPLOY / "systemd/tintype.toml"
    every = tmp_path / "every.toml"
    every.write_text(re.sub(r"^#(\w+ = )", r"\1", config.read_text(), flags=re.M))
    variables = re.findall(r"^#(TINTYPE_\w+)=(.*)$", (DEPLOY / "systemd/tintype.env").read_text(), re.M)
    secret = "whsec_" + "A" * 44
    env = {name: value.replace("whsec_...", secret) for name, value in variables}
    assert len(env) == 2 and every.read_text() != config.read_text()
    for file in (config, every):
        assert (checked := tintype.run("config", "--check", "--config", file, env=env)).returncode == 0, checked.stderr


def test_service_has_time_to_stop():
    """systemd and compose wait longer than the service may take, and let it have as many files as connections."""
    seconds = {"s": 1, "m": 60}
    drain = re.search(r'^drain = "(\d+)(\w)"', tintype.run("config").stdout, re.M)
    drain = int(drain[1]) * seconds[drain[2]]
    assert int(directive("TimeoutStopSec")[0].removesuffix("s")) > drain
    assert int(compose()["services"]["tintype"]["stop_grace_period"].removesuffix("s")) > drain
    connections = int(re.search(r"^max_connections = (\d+)", tintype.run("config").stdout, re.M)[1])
    assert int(directive("LimitNOFILE")[0]) > 2 * connections
    assert compose()["services"]["tintype"]["ulimits"]["nofile"] > 2 * connections


def directive(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.M)


@cache
def calls_of(group: str) -> frozenset[str]:
    """The system calls of one of systemd's groups."""
    lines = [line.strip() for line in tool("systemd-analyze", "syscall-filter", group).splitlines()[1:]]
    names = [line for line in lines if line and not line.startswith("#")]
    return frozenset().union(*(calls_of(name) if name.startswith("@") else {name} for name in names))


def let_through() -> set[str]:
    """What the unit's filter leaves: systemd's own minimum, and its lines in their order."""
    allowed = set(calls_of("@default"))
    for line in directive("SystemCallFilter"):
        names = set().union(*(calls_of(name) if name.startswith("@") else {name} for name in line.removeprefix("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


@pytest.fixture(scope="module")
def trace(tmp_path_factory, receiver) -> str:
    """Every system call of a server and its decoders, from start to end, while it does all that it does."""
    home = tmp_path_factory.mktemp("traced")
    traced, out = home / "traced", home / "trace"
    traced.write_text(f'#!/bin/sh\nexec strace -DD -f -qq -s 200 -e signal=none -o {out} {tintype.BINARY} "$@"\n')
    traced.chmod(0o755)
    # A name of the callback's host: it is looked up.
    server = tintype.Server(home, receiver, binary=traced, env={
        "TINTYPE_CALLBACK__URL": receiver.url.replace("127.0.0.1", "localhost") + "/callback/{id}", "TINTYPE_LOG__FORMAT": "json"})
    tracer = int(re.search(r"^TracerPid:\t(\d+)", Path(f"/proc/{server.daemon.pid}/status").read_text(), re.M)[1])
    assert tracer, "strace looks at it"
    try:
        files = [name for name in corpus.good() if name.endswith((".jpg", ".png", ".gif", ".webp", ".tiff", ".bmp"))][:24]
        made = [(server.create(filename=name), corpus.good()[name]) for name in files]
        for created, data in made:
            assert boto3_style(created["presign"], data).status == 204
        ends = [server.finish(created["id"])["status"] for created, _ in made]
        assert ends.count("completed") > len(ends) / 2
        put = server.create(filename="b.jpg", method="PUT")["presign"]
        assert requests.put(put["url"], data=PHOTO, headers=put["headers"], timeout=30).ok
        assert receiver.wait(made[0][0]["id"]).verify()
        assert server.call("GET", "/metrics").ok and server.call("GET", "/admin").ok
        assert server.call("DELETE", f"/v1/uploads/{made[0][0]['id']}").ok
    finally:
        assert server.stop() == 0
    decoders.gone(tracer)  # then all is written
    return out.read_text(errors="replace")


def test_filter_lets_through_what_a_server_calls(trace, say):
    used = set(re.findall(r"^\d+ +(\w+)\(", trace, re.M))
    assert {"execve", "accept4", "seccomp", "landlock_restrict_self", "prlimit64", "capset"} <= used, "the decoders are in it too"
    missing = used - let_through()
    assert not missing, f"the unit's filter would refuse {sorted(missing)}"
    assert not {"ptrace", "mount", "bpf", "init_module", "reboot"} & let_through()
    say(f"{len(used)} system calls used, {len(let_through())} let through")


def test_rest_of_the_unit_holds_for_a_server(trace):
    families = set(re.findall(r"\bsocket(?:pair)?\((AF_\w+)", trace))
    assert families and families <= set(directive("RestrictAddressFamilies")[0].split())
    executable = re.findall(r"mmap\([^)]*PROT_WRITE\|PROT_EXEC.*|mprotect\([^)]*PROT_EXEC.*", trace)
    assert not executable, f"MemoryDenyWriteExecute forbids {executable[:3]}"
    written = set(re.findall(r'open(?:at)?\((?:AT_FDCWD, )?"(/[^"]*)", O_(?:WRONLY|RDWR)', trace))
    home = re.search(r'"(/[^"]*)/data/', trace)[1]
    outside = [path for path in written if not path.startswith((home, "/tmp/", "/dev/null"))]
    assert not outside, f"ProtectSystem=strict forbids to write {outside}"


# --- crates ---

@pytest.mark.parametrize("crate", ["tintype-image", "tintype"])
def test_crate_has_every_file_that_it_is_built_from(crate):
    folder = REPO / "crates" / crate
    packed = set(tool("cargo", "package", "--list", "--offline", "--allow-dirty", "-p", crate, cwd=REPO).splitlines())
    needed = {os.path.normpath(source.parent.relative_to(folder) / name)
              for source in folder.rglob("*.rs") for name in re.findall(r'include(?:_str|_bytes)?!\("([^"]+)"\)', source.read_text())}
    assert not needed - packed, f"not in the package, or outside the crate's folder: {sorted(needed - packed)}"
    if crate == "tintype":
        pages = {f"web/{file.name}" for file in (REPO / "web").iterdir()}
        assert len(needed) >= 10 and len(pages) >= 14 and not pages - packed
    assert {"Cargo.toml", "src/lib.rs"} <= packed
