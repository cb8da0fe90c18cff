"""The ledger's tables, its locks, and what an operator sees of its jobs."""
import json
import sqlite3

import corpus
from support import tintype, upload as client


def ledger(server) -> sqlite3.Connection:
    return sqlite3.connect(server.home / "data/tintype.db")


def test_migrate_makes_the_tables_once(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    missing = tintype.run("migrate", "--check", "--data", data)
    assert missing.returncode == 1 and "tintype.db" in missing.stderr
    made = tintype.run("migrate", "--data", data)
    assert made.returncode == 0 and "made, version" in made.stdout
    again = tintype.run("migrate", "--data", data)
    assert again.returncode == 0 and "nothing to do" in again.stdout
    assert tintype.run("migrate", "--check", "--data", data).returncode == 0


def test_a_newer_ledger_is_refused_with_the_way_out(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    tintype.run("migrate", "--data", data)
    with sqlite3.connect(data / "tintype.db") as db:
        db.execute("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)"
                   " VALUES (99, 'later', 1, x'00', 0)")
    for command in (["serve", "--listen", "127.0.0.1:0", "--store-listen", "127.0.0.1:0"], ["migrate"], ["jobs"]):
        refused = tintype.run(*command, "--data", data)
        assert refused.returncode == 1, refused
        assert "newer tintype" in refused.stderr and "99" in refused.stderr and "backup" in refused.stderr


def test_a_ledger_file_is_of_one_process(serve, tmp_path):
    server = serve()
    other = tintype.run("serve", "--listen", "127.0.0.1:0", "--store-listen", "127.0.0.1:0", "--data", tmp_path / "other",
                        env={"TINTYPE_LEDGER__URL": f"sqlite:{server.home}/data/tintype.db"})
    assert other.returncode == 1
    assert "another tintype is running on sqlite:" in other.stderr and "ledger.url" in other.stderr


def test_workers_beside_a_server_need_what_both_reach(tmp_path):
    refused = tintype.run("work", cwd=tmp_path)
    assert refused.returncode == 1 and "postgres://" in refused.stderr
    refused = tintype.run("work", cwd=tmp_path, env={"TINTYPE_LEDGER__URL": "postgres://u:hunter2@127.0.0.1:1/t"})
    assert refused.returncode == 1 and "store.url" in refused.stderr and "hunter2" not in refused.stderr


def test_a_dead_job_is_listed_with_its_reason_and_gone_after_a_retry(serve):
    server = serve(env={"TINTYPE_QUEUE__CRASHES": "3"})
    upload = server.create(filename="a.jpg")
    server.stop()
    # As three deaths at work leave it.
    with ledger(server) as db:
        event = json.dumps({"bucket": None, "key": f"temp/{upload['id']}.jpg", "size": 1, "etag": None, "version": None})
        db.execute("UPDATE uploads SET status = 'processing' WHERE id = ?", (upload["id"],))
        db.execute("INSERT INTO jobs (upload_id, event, force, attempts, due_at, created_at) VALUES (?, ?, 0, 3, 0, 0)",
                   (upload["id"], event))
    server.start()
    failed = server.finish(upload["id"])
    assert failed["error"]["code"] == "internal" and "3 attempts" in failed["error"]["message"]
    listed = tintype.run("jobs", "--state", "dead", "--json", "--data", server.home / "data")
    job = json.loads(listed.stdout)
    assert (job["upload_id"], job["state"]) == (upload["id"], "dead") and "without a word" in job["last_error"]
    shown = tintype.run("jobs", "--data", server.home / "data")
    assert upload["id"] in shown.stdout and "1 dead" in shown.stderr
    assert client.boto3_style(upload["presign"], corpus.save(corpus.photo(64, 48), "JPEG")).status == 204
    server.finish(upload["id"])
    assert server.call("POST", f"/v1/uploads/{upload['id']}/retry").status_code == 202
    assert server.finish(upload["id"])["status"] == "completed"
    assert not tintype.run("jobs", "--state", "dead", "--data", server.home / "data").stdout


def test_rows_that_no_program_writes_are_not_imported(serve, tmp_path):
    server = serve()
    upload_id = server.create(filename="a.jpg")["id"]
    server.stop()
    good = tmp_path / "good.jsonl"
    assert tintype.run("export", good, "--data", server.home / "data").returncode == 0
    lines = good.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if json.loads(line).get("table") == "uploads")
    for column, value in (("id", "../x"), ("status", "gone"), ("policy", "{}"), ("created_at", -5), ("key", "temp/../x"),
                          ("extension", "../../etc/passwd"), ("filename", "../../etc/passwd"), ("filename", "a" * 256), ("owner", "\0")):
        line = json.loads(lines[number])
        line["row"][column] = value
        bad, data = tmp_path / "bad.jsonl", tmp_path / f"data-{len(list(tmp_path.iterdir()))}"
        bad.write_text("\n".join([*lines[:number], json.dumps(line), *lines[number + 1:]]) + "\n")
        data.mkdir()
        refused = tintype.run("import", bad, "--data", data)
        assert refused.returncode == 1 and f"line {number + 1}" in refused.stderr and f"uploads.{column}" in refused.stderr, refused
        taken = tintype.run("import", good, "--data", data)
        assert taken.returncode == 0, "nothing of the bad one was read in"
    assert upload_id in good.read_text()
