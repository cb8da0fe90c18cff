"""`tintype process` as a command: exit codes, keys, and a folder where not all is well."""
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

import corpus
from support import tintype
from support.small_disk import SmallDisk

PHOTO = corpus.good()["420.jpg"]


def tree(folder) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_hundred_files_ten_of_them_broken(tmp_path, say):
    good = dict(list(corpus.good().items())[:90])
    broken = {f"broken/{n}": d for n, (d, _) in list(corpus.broken().items())[:10]}
    folder = corpus.write(tmp_path / "in", good | broken)
    status, lines, err = tintype.process(tmp_path / "out", folder)
    assert status == 1, err
    done, failed = [l for l in lines if "error" not in l], [l for l in lines if "error" in l]
    assert (len(done), len(failed)) == (90, 10)
    for line in failed:
        name = line["original"]["key"].removeprefix("broken/")
        assert line["error"]["code"] in corpus.broken()[name][1] and line["error"]["message"], line
    for line in done:
        for variant in line["variants"]:
            data = (tmp_path / "out" / variant["key"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (variant["bytes"], variant["sha256"])
    assert len(tree(tmp_path / "out")) == 90 * 9  # eight variants and a manifest; of the broken ones, nothing
    say(f"90 done, codes of the ten: {sorted(l['error']['code'] for l in failed)}, exit {status}")

    tintype.process(tmp_path / "again", folder)
    assert tree(tmp_path / "again") == tree(tmp_path / "out")  # same input, same bytes


def test_bit_flips_never_crash(tmp_path):
    folder = corpus.write(tmp_path / "in", corpus.flipped(80))
    status, lines, err = tintype.process(tmp_path / "out", folder)
    assert status in (0, 1) and len(lines) == 80, err
    assert "panicked" not in err
    assert {l["error"]["code"] for l in lines if "error" in l} <= {"corrupt", "unsupported_format", "too_many_pixels", "too_large"}


def test_a_disk_that_fills_up_is_said_to_be_full(tmp_path):
    try:
        disk = SmallDisk(tmp_path / "out", 1)
    except PermissionError:
        pytest.skip("mounting takes root")
    try:
        disk.fill(64 << 10)
        folder = corpus.write(tmp_path / "in", {"a.jpg": corpus.save(corpus.photo(1200, 900), "JPEG", quality=90)})
        status, [line], err = tintype.process(disk.at, folder)
        assert (status, line["error"]["code"]) == (1, "store_unavailable")
        told = line["error"]["message"]
        assert "the disk is full" in told and str(disk.at) in told and "--out" in told, told
        assert ".tintype-" not in told and "the store" not in told, told
    finally:
        disk.unmount()


@pytest.mark.parametrize("name, original, small", [
    ("abc.JPG", "image/abc.jpg", "image/abc_50x50.jpg"),
    ("2026/abc.jpg", "image/2026/abc.jpg", "image/2026/abc_50x50.jpg"),
    ("noextension", "image/noextension.jpeg", "image/noextension_50x50.jpeg"),
    ("a.b.c.jpeg", "image/a.b.c.jpeg", "image/a.b.c_50x50.jpeg"),
    ("with space & é.jpg", "image/with space & é.jpg", "image/with space & é_50x50.jpg"),
])
def test_keys_follow_the_contract(tmp_path, name, original, small):
    folder = corpus.write(tmp_path / "in", {name: PHOTO})
    status, lines, err = tintype.process(tmp_path / "out", folder)
    assert status == 0, err
    keys = {v["name"]: v["key"] for v in lines[0]["variants"]}
    assert (lines[0]["original"]["key"], keys["original"], keys["50x50"]) == (name, original, small)
    assert (tmp_path / "out" / small).exists() and (tmp_path / "out" / f"{original}.manifest.json").exists()


def test_file_is_named_by_its_name_alone(tmp_path):
    corpus.write(tmp_path / "deep/er", {"a.jpg": PHOTO})
    status, lines, _ = tintype.process(tmp_path / "out", tmp_path / "deep/er/a.jpg")
    assert (status, lines[0]["variants"][0]["key"]) == (0, "image/a.jpg")


def test_two_inputs_for_one_key_are_refused_before_any_work(tmp_path):
    folder = corpus.write(tmp_path / "in", {"a.jpg": PHOTO, "a.JPG": PHOTO, "b.jpg": PHOTO})
    status, lines, err = tintype.process(tmp_path / "out", folder)
    assert (status, lines) == (2, [])
    assert "a.jpg" in err and "a.JPG" in err
    assert not (tmp_path / "out").exists() or not tree(tmp_path / "out")


def one_line(done) -> str:
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    assert "--out" in done.stderr and "store_unavailable" not in done.stderr
    return done.stderr


@pytest.fixture
def open_to_all():
    """A folder that another user can reach, too: root may write anywhere."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("out", ["/proc/here", "file", "file/deeper", "closed", "closed/deeper/still", "read only"])
def test_a_folder_that_cannot_be_written_in_is_told_once_and_before_any_work(open_to_all, out):
    home = open_to_all
    folder = corpus.write(home / "in", {"a.jpg": PHOTO, "sub/b.jpg": PHOTO})
    (home / "file").write_text("here already")
    (home / "closed").mkdir(mode=0o555)
    (home / "read only").mkdir()
    if out == "read only" and subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", home / out], capture_output=True).returncode:
        pytest.skip("mounting is for root")
    try:
        nobody = {"user": 65534, "group": 65534} if os.getuid() == 0 and "closed" in out else {}
        done = subprocess.run([tintype.BINARY, "process", "--json", "--out", home / out, folder], capture_output=True, text=True, cwd="/",
                              timeout=60, **nobody)
    finally:
        if out == "read only":
            subprocess.run(["umount", "-l", home / out], check=True)
    assert ("is a file" if "file" in out else "cannot write in") in one_line(done)
    assert tree(home / "closed") == {} and (home / "file").read_text() == "here already"


def test_a_disk_without_room_is_told_once_and_before_any_work(tmp_path):
    folder = corpus.write(tmp_path / "in", {"a.jpg": PHOTO})
    try:
        disk = SmallDisk(tmp_path / "full", 1)
    except PermissionError as why:
        pytest.skip(str(why))
    try:
        disk.fill(0)
        done = tintype.run("process", "--out", disk.at / "new", folder)
        assert [path.name for path in disk.at.iterdir()] == ["ballast"], "nothing is left of the attempt"
        assert "No space" in one_line(done)
        disk.empty()
        assert tintype.run("process", "--out", disk.at / "new", folder).returncode == 0
    finally:
        disk.unmount()


def test_one_folder_among_many_that_cannot_be_written_in_is_named(tmp_path):
    folder = corpus.write(tmp_path / "in", {"a.jpg": PHOTO, "sub/b.jpg": PHOTO})
    corpus.write(tmp_path / "out/image", {"sub": b"a file where a folder has to be"})
    done = tintype.run("process", "--out", tmp_path / "out", folder)
    assert "image/sub is a file" in one_line(done)
    assert not (tmp_path / "out/image/a.jpg").exists()


@pytest.mark.parametrize("args", [["process"], ["process", "--wat", "x"], ["nonsense"],
                                  ["process", "--preset", "none", "."]])
def test_wrong_usage_exits_with_2(tmp_path, args):
    done = tintype.run(*args, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.strip() and "panicked" not in done.stderr


def test_help_shows_an_example():
    for command in ("serve", "process", "config"):
        done = tintype.run(command, "--help")
        assert done.returncode == 0 and f"tintype {command}" in done.stdout
        assert "xample" in done.stdout
