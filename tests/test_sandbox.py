"""Decoders in their box: a crash, a hang or a kill is one job's, and nothing of them outlives the service."""
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

import corpus
from support import decoders, tintype
from support.process import REPO, Daemon, wait_for
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
WITHOUT_LANDLOCK = [sys.executable, REPO / "tests/support/without_landlock.py"]


@pytest.fixture
def boxed(serve):
    """`boxed(env=...)` starts a Tintype of two workers with a preset whose work takes many seconds."""
    def start(**env):
        server = serve(env={"TINTYPE_SERVER__WORKERS": "2", **env}, start=False)
        # AVIF of six megapixels, and nobody looks at the clock before it is done.
        (server.home / "tintype.toml").write_text("""
            [presets.slow]
            variants = [{ name = "large", width = 3000, format = "avif" }]""")
        return server.start()
    return start


LARGE = corpus.save(corpus.photo(3000, 2000, 42), "JPEG")


def upload(server, data: bytes = PHOTO, **asked) -> str:
    created = server.create(filename="a.jpg", **asked)
    assert boto3_style(created["presign"], data).status == 204
    return created["id"]


def in_work(server) -> tuple[str, int]:
    """A slow job in hand: its upload and its decoder."""
    upload_id = upload(server, LARGE, preset="slow")
    return upload_id, decoders.busy(server.daemon.pid)


def completes(server) -> None:
    assert server.finish(upload(server))["status"] == "completed"


# --- what holds them -------------------------------------------------------------------------------

def test_start_says_what_is_enforced(boxed):
    log = boxed().daemon.tail()
    line = next(line for line in log.splitlines() if "decoders:" in line)
    assert "2 boxed" in line and all(layer in line for layer in ("limits (", "seccomp (", "Landlock (ABI "))


def test_decoder_has_nothing_but_its_wire(boxed):
    server = boxed()
    completes(server)
    for pid in decoders.of(server.daemon.pid):
        home = Path(f"/proc/{pid}")
        status = dict(line.split(":\t", 1) for line in (home / "status").read_text().splitlines() if ":\t" in line)
        assert (status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16), status["Threads"]) == ("2", "1", 0, "1")
        assert (home / "environ").read_bytes() == b""
        assert sorted(int(fd.name) for fd in (home / "fd").iterdir()) == [0, 1, 2, 3]
        limits = {line[:26].strip(): line[26:].split()[0] for line in (home / "limits").read_text().splitlines()}
        assert limits["Max open files"] == limits["Max processes"] == limits["Max file size"] == "0"
        assert 50e6 < int(limits["Max address space"]) < 1e9


def test_doctor_tries_every_way_out(tmp_path):
    done = tintype.run("doctor", cwd=tmp_path)
    assert done.returncode == 2 and "no bucket is named" in done.stderr
    rows = {line[:21].strip(): line[21:].split()[0] for line in done.stdout.splitlines() if line[:1].isalpha() and line[21:]}
    assert rows == dict.fromkeys(["box: limits", "box: seccomp", "box: Landlock", "ways out of the box"], "ok"), done.stdout
    ways = " ".join(done.stdout.split("tried:")[1].split())
    assert ways.count("killed") == 10 and "read-file killed" in ways and "socket killed" in ways and "exec killed" in ways


def test_doctor_says_what_is_missing(tmp_path):
    run = lambda **env: subprocess.run([*WITHOUT_LANDLOCK, tintype.BINARY, "doctor"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "box: Landlock        warning" in run().stdout
    assert "box: Landlock        problem" in run(TINTYPE_SANDBOX__MODE="require").stdout
    off = tintype.run("doctor", cwd=tmp_path, env={"TINTYPE_SANDBOX__MODE": "off"})
    assert "decoder box          skipped" in off.stdout


# --- what happens to them --------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_crash_is_one_jobs(boxed, receiver, name):
    server = boxed()
    upload_id, decoder = in_work(server)
    others = [upload(server) for _ in range(5)]
    decoders.strike(decoder, signal.Signals[name])
    ended = server.finish(upload_id)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "internal")
    assert "the decoder crashed on this image" in ended["error"]["message"] and name in ended["error"]["message"]
    assert receiver.wait(upload_id).body["error"]["code"] == "internal"
    assert {server.finish(other)["status"] for other in others} == {"completed"}
    log = server.daemon.tail(200)
    assert any(name in line and upload_id in line for line in log.splitlines()), log
    # Both at once, so that each needs a decoder: the dead one has been replaced.
    again = [in_work(server)[0]]
    completes(server)
    assert decoder not in decoders.of(server.daemon.pid) and len(decoders.of(server.daemon.pid)) == 2
    assert server.finish(again[0])["status"] == "completed"


def test_hang_ends_at_the_deadline(boxed):
    server = boxed(TINTYPE_LIMITS__DEADLINE="3s")
    upload_id, decoder = in_work(server)
    decoders.strike(decoder, signal.SIGSTOP)
    begun = time.monotonic()
    ended = server.finish(upload_id)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "timeout")
    assert time.monotonic() - begun < 6
    decoders.gone(decoder)
    completes(server)


def test_work_past_the_deadline_leaves_nothing_behind(boxed):
    """An encoder that does not look at the clock is killed with its process, and the processor is free again."""
    server = boxed(TINTYPE_LIMITS__DEADLINE="500ms")
    upload_id, decoder = in_work(server)
    assert server.finish(upload_id)["error"]["code"] == "timeout"
    decoders.gone(decoder)


def test_decoder_that_ends_while_idle_costs_no_job(boxed):
    server = boxed()
    for pid in decoders.of(server.daemon.pid):
        decoders.strike(pid, signal.SIGKILL)
        decoders.gone(pid)
    completes(server)


def test_none_outlives_a_killed_service(boxed):
    server = boxed()
    in_work(server)
    alive = decoders.of(server.daemon.pid)
    assert len(alive) == 2
    server.daemon.kill()
    decoders.gone(*alive)


def test_work_in_hand_is_finished_when_all_processes_are_told_to_stop(boxed, receiver):
    """As systemd does it: SIGTERM to every process of the unit."""
    server = boxed(TINTYPE_LIMITS__DEADLINE="2m", TINTYPE_SERVER__DRAIN="2m")
    upload_id, _ = in_work(server)
    alive = decoders.of(server.daemon.pid)
    for pid in (server.daemon.pid, *alive):
        decoders.strike(pid, signal.SIGTERM)
    assert server.daemon.child.wait(120) == 0
    decoders.gone(*alive, within=1)
    server.start()
    assert server.finish(upload_id)["status"] == "completed"


def test_drain_that_is_over_ends_what_is_in_hand(boxed):
    server = boxed(TINTYPE_LIMITS__DEADLINE="2m", TINTYPE_SERVER__DRAIN="500ms")
    upload_id, decoder = in_work(server)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 6
    decoders.gone(decoder, within=1)
    server.start()
    assert server.finish(upload_id, timeout=120)["status"] == "completed"


# --- modes -----------------------------------------------------------------------------------------

def test_off_decodes_in_the_service(boxed):
    server = boxed(TINTYPE_SANDBOX__MODE="off")
    assert decoders.of(server.daemon.pid) == set()
    completes(server)
    assert 'sandbox.mode is "off"' in server.daemon.tail()


def test_require_tries_every_way_out_and_starts(boxed):
    server = boxed(TINTYPE_SANDBOX__MODE="require")
    assert "every way out was tried and is closed" in server.daemon.tail()
    completes(server)


def test_missing_layer_is_told_and_does_not_stop_auto(tmp_path, boxed):
    server = tintype.Server(tmp_path / "t", start=False)
    argv = [*WITHOUT_LANDLOCK, tintype.BINARY, "serve", "--listen", f"127.0.0.1:{server.port}",
            "--store-listen", f"127.0.0.1:{server.store_port}", "--data", server.home / "data"]
    server.daemon = Daemon(argv, server.home / "tintype.log", {"TINTYPE_SERVER__WORKERS": "1"}, server.home)
    try:
        server.daemon.wait_ready(lambda: requests.get(server.url + "/readyz", timeout=2).status_code == 200)
        assert "without Landlock (" in server.daemon.tail()
        assert len(decoders.of(server.daemon.pid)) == 1
        completes(server)
    finally:
        server.stop()
    required = Daemon(argv, server.home / "required.log", {"TINTYPE_SANDBOX__MODE": "require"}, server.home)
    assert required.child.wait(20) == 1
    why = required.tail()
    assert 'sandbox.mode is "require"' in why and "does not give Landlock (" in why and 'set sandbox.mode to "auto"' in why


def test_mode_that_is_none_is_a_mistake():
    done = tintype.run("config", "--check", env={"TINTYPE_SANDBOX__MODE": "on"})
    assert done.returncode == 2 and "sandbox.mode" in done.stderr and "auto, require, off" in done.stderr


# --- every format ----------------------------------------------------------------------------------

def test_boxed_files_are_those_of_the_service_itself(tmp_path, say):
    """Of every format that is read, every format that is written, and of what is refused."""
    broken = {f"broken/{name}": data for name, (data, _) in corpus.broken().items()}
    flipped = {f"flipped/{name}": data for name, data in corpus.flipped(40).items()}
    # A folder each: names that differ in the extension alone would clash.
    inputs = {f"{i}/{name}": data for i, (name, data) in enumerate((corpus.good() | broken | flipped).items())}
    folder = corpus.write(tmp_path / "in", inputs)
    (tmp_path / "tintype.toml").write_text("""
        [presets.all]
        variants = [{ name = "original" }, { name = "blurred", blur = 3 },
            { name = "j", width = 90, format = "jpeg", progressive = true }, { name = "p", width = 90, format = "png" },
            { name = "w", width = 90, format = "webp", sharpen = 0.6 }, { name = "l", width = 60, format = "webp", lossless = true },
            { name = "a", width = 40, format = "avif" }, { name = "auto", fit = "cover", width = 80, height = 80, gravity = "smart", format = "auto" }]""")
    told = {}
    for name, flags in (("own", []), ("boxed", ["--sandbox"])):
        done = tintype.run("process", *flags, "--preset", "all", "--json", "--out", tmp_path / name, folder, cwd=tmp_path, timeout=300)
        assert done.returncode == 1, done.stderr
        told[name] = done.stdout
    assert told["own"] == told["boxed"]
    lines = [json.loads(line) for line in told["own"].splitlines()]
    codes = [line["error"]["code"] for line in lines if "error" in line]
    assert len(lines) == len(inputs) and len(codes) >= len(broken) and "internal" not in codes
    files = {name: {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()} for name in told}
    assert files["own"].keys() == files["boxed"].keys() and len(files["own"]) == 9 * (len(lines) - len(codes))
    assert [p for p in files["own"] if files["own"][p] != files["boxed"][p]] == []
    say(f"{len(lines)} files, {len(codes)} of them refused: the same {len(files['own'])} files and the same refusals from the box")
