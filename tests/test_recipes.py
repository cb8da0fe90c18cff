"""What docs/recipes print, run as it is printed: backends before a real Tintype, pages in Chromium, an app's flow. And links of all pages."""
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone

import pytest
import requests
from playwright.sync_api import expect
from standardwebhooks import Webhook

import corpus
from support.flaky import Flaky
from support.process import REPO, Daemon, free_port, listening, wait_for
from support.receiver import SECRET
from support.upload import boto3_style
from test_js_client import PACKAGE, built  # noqa: F401

KEY = "the-key-of-the-backend"
SCOPES = {"flask.md": "uploads:create uploads:read uploads:write", "fastapi.md": "uploads:create uploads:write"}
ARGV = {"flask.md": ["flask", "--app", "app", "run", "--port"], "fastapi.md": ["uvicorn", "app:app", "--port"]}
WEB = REPO / "tests/web/node_modules"
PHOTO = corpus.good()["baseline.jpg"]


def parts(page: str) -> dict[str, str]:
    """The files that a page prints, each under a line with its name."""
    text = (REPO / "docs/recipes" / page).read_text()
    return dict(re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", text, re.M | re.S))


def put(folder, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


class Backend:
    """A page's app.py in a folder of its own, and the Tintype that it asks and is told by."""

    def __init__(self, home, serve, page: str, files: dict[str, str] = {}, argv: list[str] | None = None, fault=None):
        self.home, self.port = home / "backend", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        put(self.home, parts(page) | {"static/index.html": "<!doctype html><title>Photos</title>"} | files)
        key = hashlib.sha256(KEY.encode()).hexdigest()
        self.tintype = serve(backend=None, start=False, env={
            "CALLBACK_URL": f"{self.url}/outcomes", "TINTYPE_CALLBACK__SECRET": SECRET, "TINTYPE_CALLBACK__SCHEDULE": "200ms,1s",
            "TINTYPE_AUTH__KEYS": f"sha256:{key} {SCOPES[page]}"})
        self.way = Flaky(self.tintype.store, fault) if fault else None
        if self.way:
            self.tintype.env["TINTYPE_STORE__ENDPOINT"] = self.way.endpoint
        self.tintype.start()
        self.tintype.http.headers["Authorization"] = f"Bearer {KEY}"
        mine = {"TINTYPE_URL": self.tintype.url, "TINTYPE_KEY": KEY, "TINTYPE_CALLBACK__SECRET": SECRET}
        self.daemon = Daemon([sys.executable, "-m", *(argv or ARGV[page]), self.port], home / "backend.log", mine, self.home)
        self.daemon.wait_ready(lambda: listening(self.port))

    def stop(self) -> None:
        self.daemon.stop(grace=2)
        if self.way:
            self.way.stop()

    def call(self, method: str, path: str, **options) -> requests.Response:
        return requests.request(method, self.url + path, timeout=30, **options)

    def photo(self, id: str, *statuses: str) -> dict:
        """What the backend has of a photo, once its status is one of these."""
        def told():
            photo = self.call("GET", f"/photos/{id}").json()
            return photo if photo["status"] in statuses else None
        return wait_for(f"{id} to be {statuses}", told)

    def upload(self, data: bytes) -> dict:
        ticket = self.call("POST", "/photos", json={"filename": "a.jpg", "size": len(data)}).json()
        assert boto3_style(ticket["presign"], data).status == 204
        return ticket


@pytest.fixture
def backend(serve, tmp_path):
    started = []

    def start(*args, **options) -> Backend:
        started.append(Backend(tmp_path, serve, *args, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


# --- backends --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("page", ["flask.md", "fastapi.md"])
def test_a_backend_asks_hears_and_deletes(backend, page):
    one = backend(page)
    asked = one.call("POST", "/photos", json={"filename": "a.jpg", "size": len(PHOTO), "metadata": {"user": "1"}, "preset": "none such"})
    ticket = asked.json()
    assert asked.status_code == 201 and asked.headers["Cache-Control"] == "no-store"
    assert one.call("GET", f"/photos/{ticket['id']}").json() == {"id": ticket["id"], "status": "pending", "outcome": None}
    assert boto3_style(ticket["presign"], PHOTO).status == 204
    outcome = one.photo(ticket["id"], "completed")["outcome"]
    assert outcome["metadata"] == {"user": "42"} and len(outcome["variants"]) == 8
    assert requests.get(outcome["variants"][0]["url"]).ok

    broken = one.upload(b"not an image, though as long as it was said to be")
    assert one.photo(broken["id"], "failed")["outcome"]["error"]["code"] == "unsupported_format"

    refused = one.call("POST", "/photos", json={"content_type": "text/html"})
    assert (refused.status_code, refused.json()["code"], refused.headers["Content-Type"]) == (422, "unsupported_format", "application/problem+json")
    for method in ("GET", "DELETE"):
        assert one.call(method, f"/photos/{'0' * 32}").status_code == 404

    assert one.call("DELETE", f"/photos/{ticket['id']}").status_code == 204
    assert one.call("GET", f"/photos/{ticket['id']}").status_code == 404
    assert requests.get(f"{ticket['status_url']}?token={ticket['token']}").status_code == 404
    assert requests.get(outcome["variants"][0]["url"]).status_code in (403, 404)

    one.tintype.stop()
    away = one.call("POST", "/photos", json={})
    assert (away.status_code, away.json()["code"], away.headers["Retry-After"]) == (503, "unavailable", "5")


@pytest.mark.parametrize("page", ["flask.md", "fastapi.md"])
def test_a_backend_believes_whoever_signs_and_nobody_else_and_each_message_once(backend, page):
    one = backend(page)
    id = one.upload(PHOTO)["id"]
    before = one.photo(id, "completed")

    def tell(number: int, told: dict, secret: str | None = SECRET, **headers) -> int:
        body, name, now = json.dumps(told), f"msg_{id}_{number}", datetime.now(timezone.utc)
        signed = {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp()))}
        if secret:
            signed["webhook-signature"] = Webhook(secret).sign(name, now, body)
        return one.call("PUT", "/outcomes", data=body, headers=signed | headers).status_code

    failed = {"id": id, "status": "failed", "error": {"code": "corrupt", "message": "the file is cut off"}}
    assert tell(2, failed, secret=None) == 401
    assert tell(2, failed, secret="whsec_" + "A" * 32) == 401
    for odd in ("nonsense", "v1,é".encode(), "v1,A", "v1,x,y"):
        assert tell(2, failed, **{"webhook-signature": odd}) == 401, odd
    assert tell(2, failed, **{"webhook-timestamp": "1700000000"}) == 401
    assert tell(1, failed) == 204, "the first message again, which has been heard"
    assert one.photo(id, "completed", "failed") == before
    assert tell(2, failed) == tell(2, failed) == 204
    assert one.photo(id, "completed", "failed")["outcome"] == failed
    assert tell(3, failed | {"id": "0" * 32}) == 204, "of a photo that is gone"


# --- pages -----------------------------------------------------------------------------------------------------------

@pytest.fixture
def browse(chromium):
    """Opens a page, which may have nothing to complain of but what a server refused, and what is expected."""
    context, complaints = chromium.new_context(viewport={"width": 1000, "height": 700}), []

    def open_page(url: str, expected: str = "Failed to load resource"):
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and not re.search(expected, said.text) and complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    context.close()
    assert not complaints


def file(name: str, data: bytes = PHOTO, kind: str = "image/jpeg") -> dict:
    return {"name": name, "mimeType": kind, "buffer": data}


def slow_down(page, bytes_per_second: int) -> None:
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", {
        "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second})


def widths(images) -> list[int]:
    return images.evaluate_all("(images) => images.map((image) => image.complete && image.naturalWidth)")


def test_react(backend, browse, built, tmp_path):  # noqa: F811
    files = parts("react.md")
    sources = tmp_path / "sources"
    put(sources, files)
    subprocess.run(
        [WEB / ".bin/esbuild", "main.jsx", "--bundle", "--jsx=automatic", "--outdir=static", "--log-level=warning",
         f"--alias:@tintype/client={PACKAGE / 'dist/tintype.js'}"], cwd=sources, check=True, env={**os.environ, "NODE_PATH": str(WEB)})
    one = backend("fastapi.md", {"static/index.html": files["index.html"], "static/main.js": (sources / "static/main.js").read_text()})
    page = browse(one.url)
    add, photos = page.get_by_label("Add photos"), page.get_by_role("listitem")

    # Three at once: two photos, and one that is none.
    add.set_input_files([file("a.jpg"), file("b.png", corpus.good()["rgb8.png"], "image/png"), file("c.jpg", b"not an image")])
    expect(photos.nth(0).get_by_role("status")).to_have_text("Done")
    expect(photos.nth(1).get_by_role("status")).to_have_text("Done")
    expect(photos.nth(2).get_by_role("alert")).to_contain_text("image")
    expect(photos.nth(2).get_by_role("button")).to_have_count(1)  # that would come to the same: nothing but Remove
    wait_for("thumbnails", lambda: widths(page.locator("li:has(input) img")) == [100, 90])
    photos.nth(2).get_by_role("button", name="Remove c.jpg").click()
    expect(photos).to_have_count(2)

    # A server that is busy for longer than the client waits, and then is not.
    page.route("**/photos", lambda route: route.fulfill(status=503, headers={"Retry-After": "300"}, json={"code": "unavailable", "detail": "come back later"}))
    add.set_input_files([file("d.jpg")])
    expect(photos.nth(2).get_by_role("alert")).to_have_text("come back later")
    expect(page.get_by_text("Try again, or remove, what failed: the form is not sent with it.")).to_be_visible()
    page.unroute("**/photos")
    photos.nth(2).get_by_role("button", name="Try again").click()
    expect(photos.nth(2).get_by_role("status")).to_have_text("Done")

    # Progress is seen, and who goes away is not sent any further.
    slow_down(page, 100_000)
    add.set_input_files([file("e.bmp", corpus.good()["rgb24.bmp"] + bytes(3_000_000), "image/bmp")])
    page.wait_for_function("document.querySelector('progress')?.value > 0")
    with page.expect_event("requestfailed", lambda request: request.method == "POST"):
        photos.nth(3).get_by_role("button", name="Remove e.bmp").click()
    expect(photos).to_have_count(3)

    # What failed keeps the form, until it is removed.
    add.set_input_files([file("f.jpg", b"not an image")])
    expect(photos.nth(3).get_by_role("alert")).to_contain_text("image")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Remove what failed: the form is not sent with it.")).to_be_visible()
    photos.nth(3).get_by_role("button", name="Remove f.jpg").click()

    # The form around it has the ids, though it is saved while a photo is on its way.
    page.route("**/listings", lambda route: route.fulfill(body="saved"))
    add.set_input_files([file("g.bmp", corpus.good()["rgb24.bmp"] + bytes(300_000), "image/bmp")])
    with page.expect_request("**/listings") as saved:
        page.get_by_role("button", name="Save").click(no_wait_after=True)
        expect(page.get_by_text("The form is sent once the photos are done.")).to_be_visible()
        expect(photos.nth(3).get_by_role("status")).to_have_text("Sending")
    ids = re.findall(r"photo=([0-9a-f]{32})", saved.value.post_data)
    assert len(ids) == len(set(ids)) == 4
    assert [one.photo(id, "completed")["outcome"]["metadata"] for id in ids] == [{"user": "42"}] * 4


# Faults that the test makes; and htmx 2 looks for its own headers in what the store answers.
EXPECTED_OF_HTMX = 'Failed to load resource|the store was not reached|htmx:(afterRequest|sendError)|Error Code 403|unsafe header "HX-'


@pytest.mark.parametrize("package, script", [("htmx.org", "static/photos.js"), ("htmx-2", "static/photos-2.js")])
def test_htmx(backend, browse, package, script):
    files = parts("htmx.md")
    files |= {"static/photos.js": files[script], "static/htmx.min.js": (WEB / package / "dist/htmx.min.js").read_text()}
    one = backend("flask.md", files, argv=["flask", "--app", "album", "run", "--port"])
    page = browse(f"{one.url}/album", expected=EXPECTED_OF_HTMX)
    entries, choose = page.get_by_role("listitem"), lambda entry: entry.get_by_label("Photo")
    more = page.get_by_role("button", name="Add a photo")

    # Three at once: each asks for its own next fragment, and waits for no other.
    for number in range(3):
        more.click()
        choose(entries.nth(number)).set_input_files([file(f"{number}.jpg")])
    held = []

    def hold(route):
        held.append(route)
        for each in held if len(held) == 3 else []:
            each.continue_()

    sent = re.compile(r"/album/[0-9a-f]{32}$")
    page.route(sent, hold)
    page.evaluate("document.querySelectorAll('form').forEach((form) => form.requestSubmit())")
    expect(page.get_by_role("img")).to_have_count(3)
    page.unroute(sent)
    wait_for("thumbnails", lambda: widths(page.get_by_role("img")) == [400, 400, 400])

    # One that is no image; then its form gives way to another.
    more.click()
    choose(entries.nth(3)).set_input_files([file("c.jpg", b"not an image")])
    entries.nth(3).get_by_role("button", name="Upload").click()
    expect(entries.nth(3).get_by_role("alert")).to_contain_text("image")
    entries.nth(3).get_by_role("button", name="Try another").click()

    # What the store refuses it says itself; a store that is not reached is tried again by the same form.
    form = entries.nth(3).locator("form")
    assert form.get_by_label("Sent").bounding_box()["height"] > 5
    choose(form).set_input_files([file("d.bmp", corpus.good()["rgb24.bmp"] + bytes(250_000), "image/bmp")])
    key = form.locator("[name=key]").input_value()
    form.locator("[name=key]").evaluate("(field) => (field.value += 'x')")
    form.get_by_role("button", name="Upload").click()
    expect(form.get_by_role("alert")).to_contain_text("Policy")
    form.locator("[name=key]").evaluate("(field, key) => (field.value = key)", key)
    page.route(f"{one.tintype.store}/**", lambda route: route.abort())
    form.get_by_role("button", name="Upload").click()
    expect(form.get_by_role("alert")).to_contain_text("Try again")
    page.unroute(f"{one.tintype.store}/**")
    slow_down(page, 300_000)
    page.evaluate("""() => {
        window.seen = [];
        new MutationObserver((changes) => changes.forEach(({ target }) => seen.push(target.value)))
          .observe(document.querySelector("progress"), { attributes: true, attributeFilter: ["value"] });
    }""")
    form.get_by_role("button", name="Upload").click()
    expect(form.get_by_role("alert")).to_be_empty()
    expect(page.get_by_role("img")).to_have_count(4)
    seen = page.evaluate("seen")
    assert seen == sorted(seen) and any(0 < value < 1 for value in seen), seen

    # A form that was left for another is another upload.
    more.click()
    first = entries.nth(4).locator("[name=key]").input_value()
    entries.nth(4).get_by_role("button", name="Start again").click()
    expect(entries.nth(4).locator("[name=key]")).not_to_have_value(first)

    # The album is still there when it is opened again: outcomes come by the callback. What is deleted is gone.
    wait_for("callbacks", lambda: requests.get(f"{one.url}/album").text.count("<img") == 4)
    page.reload()
    expect(page.get_by_role("img")).to_have_count(4)
    expect(entries).to_have_count(5)  # with the one that was no image
    gone = page.get_by_role("img").first.get_attribute("src")
    page.on("dialog", lambda dialog: dialog.accept())
    entries.first.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("img")).to_have_count(3)
    assert requests.get(gone).status_code in (403, 404)


# --- an app ----------------------------------------------------------------------------------------------------------

def test_the_apps_flow_by_curl(backend, tmp_path):
    one = backend("flask.md")
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    text = (REPO / "docs/recipes/mobile.md").read_text().split("## By curl")[1]
    script = re.search(r"```sh\n(.*?)```", text, re.S)[1].replace("http://127.0.0.1:3000", one.url)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    status, *urls = done.stdout.splitlines()
    assert (status, len(urls)) == ("completed", 8), done.stdout + done.stderr
    assert all(requests.get(url).ok for url in urls)


def test_the_apps_flow_by_python(backend, tmp_path):
    put(tmp_path, parts("mobile.md"))
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    (tmp_path / "text.jpg").write_bytes(b"not an image")
    spec = importlib.util.spec_from_file_location("upload", tmp_path / "upload.py")
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)

    faults, sent = [], []

    def fault(method, _key):
        if method == "POST":
            sent.append(faults.pop(0) if faults else None)
            return sent[-1]
        return None

    one, photo = backend("fastapi.md", fault=fault), str(tmp_path / "photo.jpg")
    done = subprocess.run([sys.executable, tmp_path / "upload.py", photo, one.url], capture_output=True, text=True, timeout=60)
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert len(names) == 8 and names[0] == "original", done.stdout + done.stderr

    # The store is busy; found the line too slow; is not reached; took it, and the answer was lost.
    for faulty, posts in [(503, 2), (400, 2), ("reset", 2), ("reset after", 1)]:
        faults[:], sent[:] = [faulty], []
        assert len(app.upload(photo, one.url)["variants"]) == 8
        assert len(sent) == posts, faulty

    with pytest.raises(app.Refused, match="image"):
        app.upload(str(tmp_path / "text.jpg"), one.url)

    # A dictionary of Swift has no order: fields may come in any, and the file last.
    ticket = app.ask(photo, one.url)
    ticket["presign"]["fields"] = dict(reversed(ticket["presign"]["fields"].items()))
    assert app.send(photo, ticket) and app.look(ticket, wait=30)["status"] == "completed"

    # A ticket that is too old is replaced; whatever else the store refuses is not tried again.
    one.tintype.stop()
    one.tintype.env["TINTYPE_UPLOAD__EXPIRES"] = "1s"
    one.tintype.start()
    old = app.ask(photo, one.url)
    one.tintype.stop()
    del one.tintype.env["TINTYPE_UPLOAD__EXPIRES"]
    one.tintype.start()
    wait_for("its end", lambda: datetime.now(timezone.utc) > datetime.fromisoformat(old["presign"]["expires_at"]))
    tickets, ask = [old], app.ask
    app.ask = lambda *args: tickets.pop() if tickets else ask(*args)
    assert len(app.upload(photo, one.url)["variants"]) == 8 and not tickets
    other = ask(photo, one.url)
    other["presign"]["fields"]["key"] += "x"
    sent[:] = []
    with pytest.raises(app.Refused, match="AccessDenied"):
        app.send(photo, other)
    assert len(sent) == 1


# --- links -----------------------------------------------------------------------------------------------------------

def anchors(text: str) -> set[str]:
    """Those of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.*)$", without_code(text), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
        if found[name]:
            found[f"{name}-{found[name]}"] = 0
    return set(found)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def test_every_link_of_every_page_leads_somewhere():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=REPO, capture_output=True, text=True, check=True)
    pages, dead, links = [REPO / name for name in listed.stdout.splitlines()], [], 0
    assert {REPO / "README.md", REPO / "docs/faq.md", REPO / "docs/recipes/htmx.md"} <= set(pages)
    for page in pages:
        text = re.sub(r"`[^`\n]*`", "", without_code(page.read_text()))
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            links += 1
            if not target.exists() or anchor and anchor not in anchors(target.read_text()):
                dead.append(f"{page.relative_to(REPO)}: {link}")
    assert links > 100 and not dead, dead
