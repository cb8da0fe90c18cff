"""The pages at / and /admin, in a real browser: what people see, with a mouse, with a keyboard alone, and read aloud."""
import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

import corpus
from support import tintype
from support.process import REPO, wait_for
from support.receiver import Receiver
from support.upload import boto3_style
from test_auth import id_of, make

AXE = REPO / "tests/web/node_modules/axe-core/axe.min.js"
# Eleven of many kinds and one that is cut off.
GOOD = ["baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "rgb8.png", "rgba8-interlaced.png", "palette8.png",
        "transparent.gif", "delays.gif", "lossy.webp", "rgb24.bmp"]
BROKEN = "cut off.jpg"
NAMES = ["original", "original_blurred", "50x50", "50x50_blurred", "100x100", "100x100_blurred", "400x400", "400x400_blurred"]
KIND = {"jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp"}


def files(*names: str) -> list[dict]:
    known = corpus.good()
    data = lambda name: known["baseline.jpg"][:20_000] if name == BROKEN else known[name]
    return [{"name": name, "mimeType": KIND[name.rsplit(".", 1)[1]], "buffer": data(name)} for name in names]


@pytest.fixture
def browse(chromium):
    """`browse(url, dark=..., width=...)` opens a page, which may show no error, run nothing but its own, and ask no other server."""
    contexts, complaints, asked = [], [], set()

    def open_page(url: str, dark: bool = False, width: int = 1100, **options):
        context = chromium.new_context(color_scheme="dark" if dark else "light", viewport={"width": width, "height": 800},
                                       reduced_motion="reduce", **options)
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        # What a server refuses is on the console too; the pages say it themselves.
        page.on("console", lambda said: said.type == "error" and "Failed to load resource" not in said.text and complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.add(request.url))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints
    hosts = {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}, hosts


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server without keys, whose backend refuses what it is told to."""
    backend = Receiver()
    server = tintype.Server(tmp_path_factory.mktemp("site"), backend, env={"TINTYPE_CALLBACK__SCHEDULE": "200ms"})
    server.backend = backend
    yield server
    server.stop()
    backend.stop()


def card(page, name: str):
    return page.locator("#list > li").filter(has=page.get_by_role("heading", name=name))


def slow_down(page, bytes_per_second: int) -> None:
    """The line to the servers, upwards."""
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", {
        "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second})


def violations(page) -> list[str]:
    page.evaluate(AXE.read_text() + "; undefined")
    found = page.evaluate("axe.run().then((found) => found.violations)")
    return [f"{one['id']}: {one['help']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def upload(server, name: str = "baseline.jpg", data: bytes | None = None, **asked) -> str:
    """An upload that has ended."""
    created = server.create(filename=name, **asked)
    assert boto3_style(created["presign"], data or corpus.good()[name], filename=name).status == 204
    server.finish(created["id"])
    return created["id"]


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# --- the page for uploads --------------------------------------------------------------------------------------------

def test_twelve_files_with_one_broken(site, browse):
    page = browse(site.url + "/")
    slow_down(page, 400_000)
    page.evaluate("""() => {
        window.seen = {};
        new MutationObserver((changes) => { for (const { target } of changes)
            if (target.tagName === "PROGRESS") (seen[target.ariaLabel] ??= []).push(Math.round(target.value)); })
          .observe(document.querySelector("#list"), { subtree: true, attributes: true, attributeFilter: ["value"] });
    }""")
    page.locator("#files").set_input_files(files(*GOOD, BROKEN))
    expect(page.locator("#list > li")).to_have_count(12)
    expect(page.locator("#list progress")).to_have_count(12)
    # The variants are named before the original has arrived.
    expect(card(page, "baseline.jpg").locator(".variant b")).to_have_text(NAMES)
    expect(page.locator("#summary")).to_have_text("11 of 12 completed, 1 failed", timeout=60_000)

    seen = page.evaluate("seen")
    large = seen["Sent of baseline.jpg"]
    assert large == sorted(large) and len({percent for percent in large if 0 < percent < 100}) >= 3, large
    failed = card(page, BROKEN)
    expect(failed.locator(".status")).to_have_text("Failed")
    expect(failed.locator(".error")).to_contain_text("(corrupt)")
    expect(failed.get_by_role("button", name="Retry")).to_be_hidden()
    expect(failed.locator(".hint").first).to_contain_text("another copy")

    for name in GOOD:
        one = card(page, name)
        expect(one.locator(".status")).to_have_text("Completed")
        expect(one.locator(".variant b")).to_have_text(NAMES)
        expect(one.get_by_role("button", name="Retry")).to_be_hidden()
    one = card(page, "baseline.jpg")
    one.scroll_into_view_if_needed()
    expect(one.locator(".frame.loaded")).to_have_count(8)
    expect(one.locator("[class=variant]").nth(6).locator("small")).to_have_text(["400×300", re.compile(r"^[\d.]+ KiB jpeg$")])
    colours = one.evaluate("""(card) => [...card.querySelectorAll(".frame")].slice(6, 7).flatMap((frame) => ["canvas", "img"].map((tag) => {
        const small = new OffscreenCanvas(1, 1).getContext("2d");
        const canvas = frame.querySelector("canvas");
        if (tag === "img") return canvas.width / canvas.height;
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const mean = [0, 0, 0];
        for (let i = 0; i < data.length; i++) if (i % 4 < 3) mean[i % 4] += data[i] / (data.length / 4);
        return mean; }))""")
    picture = corpus.Image.open(corpus.io.BytesIO(corpus.good()["baseline.jpg"])).convert("RGB").resize((1, 1), corpus.Image.BOX)
    assert max(abs(a - b) for a, b in zip(colours[0], picture.getpixel((0, 0)))) < 12, "the placeholder has the picture's colours"
    assert colours[1] == pytest.approx(4 / 3, rel=.1)

    one.get_by_text("Manifest", exact=True).click()
    manifest = json.loads(one.get_by_role("region", name="Manifest of").inner_text())
    stem = manifest["original"]["key"].removeprefix("temp/").rsplit(".", 1)[0]
    assert [variant["name"] for variant in manifest["variants"]] == NAMES
    one.get_by_text("Callback: taken").click()
    body = json.loads(one.get_by_role("region", name="Body of the callback").inner_text())
    assert body == site.backend.wait(stem).verify()


def test_the_lines_that_are_shown_do_the_same(site, browse, tmp_path):
    name = "it's a $(photo) \"1\".jpg"
    page = browse(site.url + "/")
    page.locator("#files").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": corpus.good()["grey.jpg"]})
    expect(page.locator("#summary")).to_have_text("1 of 1 completed")
    one = page.locator("#list > li")
    expect(one.get_by_role("heading")).to_contain_text(name)
    one.get_by_text("The same with curl").click()
    told = run_shell(one.get_by_role("region", name="curl lines").inner_text(), tmp_path, name)
    assert json.loads(told)["status"] == "completed", told
    one.get_by_text("The same in JavaScript").click()
    told = run_lines(one.get_by_role("region", name="JavaScript lines").inner_text(), tmp_path, name)
    assert told.startswith("completed"), told


def run_shell(lines: str, folder: Path, name: str) -> str:
    (folder / name).write_bytes(corpus.good()["grey.jpg"])
    return output(["bash", "-euc", lines], folder)


def run_lines(lines: str, folder: Path, name: str) -> str:
    """In Node, since a page here may not make code of text."""
    (folder / name).write_bytes(corpus.good()["grey.jpg"])
    read = f'import {{ File }} from "node:buffer";\nimport {{ readFileSync }} from "node:fs";\nconst file = new File([readFileSync({json.dumps(name)})], {json.dumps(name)}, {{ type: "image/jpeg" }});\n'
    return output(["node", "--input-type=module", "-e", read + lines], folder)


def output(argv: list[str], folder: Path) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_signed_put_works_as_a_form_does(serve, browse, tmp_path):
    server = serve(backend=None, env={"TINTYPE_UPLOAD__METHOD": "PUT"})
    page = browse(server.url + "/")
    page.locator("#files").set_input_files(files("grey.jpg"))
    expect(page.locator("#summary")).to_have_text("1 of 1 completed")
    expect(page.locator("#list")).to_contain_text("No callback: callback.url is not set.")
    lines = {"curl lines": run_shell, "JavaScript lines": run_lines}
    for summary in page.locator("summary").filter(has_text="The same").all():
        summary.click()
    for label, run in lines.items():
        assert "completed" in run(page.get_by_role("region", name=label).inner_text(), tmp_path, "grey.jpg"), label


def test_a_store_of_another_name_is_sent_to_and_shown(serve, browse, seaweedfs):
    at = seaweedfs.bucket("pages")
    at.s3.put_bucket_cors(Bucket=at.bucket, CORSConfiguration={"CORSRules": [
        {"AllowedOrigins": ["*"], "AllowedMethods": ["POST", "PUT", "GET"], "AllowedHeaders": ["*"]}]})
    server = serve(env=at.env)
    page = browse(server.url + "/")
    page.locator("#files").set_input_files(files("grey.jpg"))
    # The bucket tells nobody: the page does.
    expect(card(page, "grey.jpg").locator(".status")).to_have_text("Completed")
    expect(card(page, "grey.jpg").locator(".frame.loaded")).to_have_count(8)


def test_cancel_and_retry(site, browse):
    page = browse(site.url + "/")
    slow_down(page, 60_000)
    page.locator("#files").set_input_files(files("baseline.jpg"))
    one = card(page, "baseline.jpg")
    expect(one.locator(".status")).to_have_text("Sending")
    wait_for("some of it is sent", lambda: page.locator("#list progress").evaluate("(bar) => bar.value > 0"))
    one.get_by_role("button", name="Cancel baseline.jpg").click()
    expect(one.locator(".status")).to_have_text("Cancelled")
    expect(page.locator("#summary")).to_have_text("0 of 1 completed, 1 cancelled")
    slow_down(page, -1)
    one.get_by_role("button", name="Retry baseline.jpg").click()
    expect(one.locator(".status")).to_have_text("Completed", timeout=30_000)
    # Nobody waits for what was cancelled.
    assert site.call("GET", "/v1/uploads?status=pending").json()["uploads"] == []


def test_what_is_wrong_with_a_file_is_said(site, browse):
    page = browse(site.url + "/")
    page.locator("#files").set_input_files([
        {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": bytes(11 << 20)},
        {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""},
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture at all, but words"},
        {"name": "<img src=x onerror=alert(1)>.jpg", "mimeType": "image/jpeg", "buffer": corpus.good()["grey.jpg"]}])
    expect(page.locator("#summary")).to_have_text("1 of 4 completed, 3 failed", timeout=30_000)
    expect(card(page, "large.jpg").locator(".error")).to_have_text(re.compile("10485760.*too_large"))
    expect(card(page, "empty.jpg").locator(".error")).to_have_text("The file is empty.")
    expect(card(page, "notes.txt").locator(".error")).to_contain_text("unsupported_format")
    # Sent again, the same file would come to the same.
    for name, advice in (("large.jpg", "smaller file"), ("empty.jpg", "from where it came"), ("notes.txt", "Choose a JPEG")):
        expect(card(page, name).get_by_role("button", name="Retry")).to_be_hidden()
        expect(card(page, name).locator(".hint").first).to_contain_text(advice)
    expect(card(page, "<img src=x onerror=alert(1)>.jpg").locator(".status")).to_have_text("Completed")
    site.daemon.stop()
    page.locator("#files").set_input_files(files("grey.jpg"))
    expect(card(page, "grey.jpg").locator(".error")).to_contain_text("cannot be reached")
    site.start()
    card(page, "grey.jpg").get_by_role("button", name="Retry").click()
    expect(card(page, "grey.jpg").locator(".status")).to_have_text("Completed", timeout=30_000)


def test_with_keys_the_page_asks_for_one_and_keeps_it_in_its_tab(serve, browse):
    server = serve()
    few, admin = make(server, "uploads:create"), make(server, "admin")
    page = browse(server.url + "/")
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.locator("#drop")).to_be_hidden()
    page.keyboard.type("no key")
    page.keyboard.press("Enter")
    expect(page.locator("#key-error")).to_have_text("that is no API key of this server")
    page.get_by_label("API key").fill(few)
    page.keyboard.press("Enter")
    expect(page.locator("#drop")).to_be_visible()
    page.locator("#files").set_input_files(files("grey.jpg"))
    expect(page.locator("#summary")).to_have_text("1 of 1 completed")
    expect(page.locator("#list")).to_contain_text("this needs the scope `deliveries`")
    expect(page.locator("#list .frame.loaded")).to_have_count(8)
    kept = page.evaluate("[location.href, document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.documentElement.outerHTML]")
    assert [few in text for text in kept] == [False, False, False, True, False]
    page.get_by_text("The same with curl").click()
    expect(page.get_by_role("region", name="curl lines")).to_contain_text('-H "Authorization: Bearer $KEY"')

    page.goto(server.url + "/admin")
    expect(page.locator("#key-error")).to_contain_text("this needs the scope `admin`")
    expect(page.locator("#views")).to_be_hidden()
    page.goto(server.url + "/")
    expect(page.locator("#drop")).to_be_visible()  # there it is still good
    page.goto(server.url + "/admin")
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-error")).to_have_text("that is no API key of this server")
    page.get_by_label("API key").fill(admin)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert tintype.run("keys", "revoke", id_of(admin), "--data", server.home / "data").returncode == 0
    expect(page.get_by_label("API key")).to_be_visible()
    expect(page.locator("#key-error")).to_contain_text("was revoked")
    expect(page.locator("#view")).to_be_empty()
    page.get_by_label("API key").fill(few)
    log = (server.home / "tintype.log").read_text()
    assert few not in log and admin not in log


# --- the operator's page ---------------------------------------------------------------------------------------------

def test_one_upload_from_credential_to_callback_and_what_can_be_done(site, browse):
    site.backend.answer("/callback/", 500, 500)
    broken = upload(site, "a.jpg", files(BROKEN)[0]["buffer"], metadata={"order": "<b>77</b>"})
    wait_for("dead callback", lambda: site.call("GET", f"/v1/deliveries?upload={broken}").json()["deliveries"][0]["status"] == "dead")
    page = browse(site.url + "/admin#uploads?status=failed")
    page.get_by_label("Id, key, file name or metadata").fill(broken[:12])
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name=broken).click()
    expect(page.get_by_role("heading", name=f"Upload {broken}")).to_be_focused()
    page.go_back()
    page.get_by_label("Id, key, file name or metadata").fill(f" {broken}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Upload {broken}")).to_be_focused()
    expect(page.locator("#view")).to_contain_text('{"order":"<b>77</b>"}')
    expect(page.locator("#view > div > .timeline > li b")).to_have_text(["Presigned", "Uploaded", "Event", "Attempt", "Callback", "Callback"])
    expect(page.locator("#view > div > .timeline > li.failed")).to_have_count(3)
    expect(page.locator(".timeline").first).to_contain_text("with `corrupt`")
    delivery = page.get_by_role("region", name="Delivery msg_")
    expect(delivery.locator(".tag")).to_have_text("dead")
    expect(delivery.locator("ol > li")).to_have_count(2)
    delivery.get_by_text("Request", exact=True).click()
    expect(delivery.get_by_role("region", name="Request")).to_contain_text(f'"id": "{broken}"')

    def confirm(button, answer: str):
        button.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_role("dialog").get_by_role("button", name=answer, exact=True).click()

    confirm(delivery.get_by_role("button", name="Resend"), "Keep it as it is")
    assert len(site.backend.of(broken)) == 2
    confirm(delivery.get_by_role("button", name="Resend"), "Resend")
    site.backend.wait(broken)
    page.reload()
    expect(page.get_by_role("region", name="Delivery msg_").locator(".tag")).to_have_text("delivered")
    confirm(page.get_by_role("button", name="Retry"), "Retry")
    expect(page.locator("#told")).to_have_text("A job was added.")
    site.finish(broken)
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_text("Attempt 1 of job")).to_have_count(2)
    confirm(page.get_by_role("button", name="Delete"), "Delete")
    expect(page).to_have_url(re.compile("#uploads$"))
    assert site.call("GET", f"/v1/uploads/{broken}").status_code == 404


def test_the_overview_lives_and_the_list_goes_on(site, browse):
    page = browse(site.url + "/admin")
    tile = lambda name: page.locator(".tiles li").filter(has_text=name).locator("b")
    expect(tile("completed")).to_have_text(re.compile(r"^\d+$"))
    before = int(tile("completed").inner_text())
    upload(site, "grey.jpg")
    upload(site, "x.jpg", b"no picture")
    expect(tile("completed")).to_have_text(str(before + 1))
    expect(page.get_by_role("region", name="Failures by code").get_by_role("row", name="unsupported_format")).to_be_visible()
    latency = page.get_by_role("region", name="Latency")
    expect(latency.locator(".figure")).to_have_text(re.compile(r"^p50 .*, p99 .* of \d+ jobs$"))
    expect(latency.locator("path").first).to_have_attribute("d", re.compile("L"))  # two looks and more
    hour = page.get_by_role("region", name="Uploads a minute, last hour", exact=True)
    hour.get_by_text("As a table").click()
    expect(hour.locator("tr")).to_have_count(61)
    # A page that is not seen asks for nothing.
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    page.wait_for_timeout(3000)
    assert len([url for url in asked if url.endswith("/v1/stats")]) <= 1

    for _ in range(60 - len(site.call("GET", "/v1/uploads?status=pending").json()["uploads"])):
        site.create(filename="a.jpg")
    page.goto(site.url + "/admin#uploads?status=pending")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("tbody tr")).to_have_count(60)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    page.get_by_role("link", name="Configuration").click()
    expect(page.get_by_role("row", name=re.compile("callback.secret"))).to_contain_text("(set, not shown)")
    assert "whsec" not in page.content() and "dGludHlw" not in page.content()


# --- for everybody ---------------------------------------------------------------------------------------------------

def test_both_pages_by_keyboard_alone(site, browse, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(corpus.good()["grey.jpg"])
    page, chosen = browse(site.url + "/"), []
    page.on("filechooser", lambda chooser: chosen.append(chooser))

    def tab_to(locator, most: int = 30):
        for _ in range(most):
            page.keyboard.press("Tab")
            if locator.evaluate("(element) => element === document.activeElement"):
                style = page.evaluate("""(() => { const at = document.activeElement.closest(".drop") ?? document.activeElement;
                    return getComputedStyle(at).outlineStyle; })()""")
                assert style == "solid", "what has the focus is seen"
                return
        raise AssertionError(f"{locator} is not reached")

    expect(page.locator("#drop")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_in_viewport()
    page.keyboard.press("Enter")
    tab_to(page.locator("#files"))
    page.keyboard.press("Enter")
    wait_for("the browser's own dialog", lambda: page.wait_for_timeout(50) or chosen)[0].set_files(photo)
    expect(page.locator("#summary")).to_have_text("1 of 1 completed")
    expect(page.locator("#said")).to_have_text("photo.jpg: completed.")
    tab_to(page.locator("summary", has_text="Manifest"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Manifest of photo.jpg")).to_be_visible()
    tab_to(page.get_by_role("region", name="Manifest of photo.jpg"))

    one = upload(site, "grey.jpg")
    page.goto(site.url + "/admin")
    tab_to(page.get_by_role("link", name="Uploads", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Uploads")).to_be_focused()
    tab_to(page.get_by_role("link", name=one))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Upload {one}")).to_be_focused()
    tab_to(page.get_by_role("button", name="Delete"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Keep it as it is")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Delete")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(dialog.get_by_role("button", name="Delete"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#uploads$"))
    assert site.call("GET", f"/v1/uploads/{one}").status_code == 404


@pytest.mark.parametrize("dark, width", [(False, 1100), (True, 1100), (False, 375), (True, 375)], ids=["light", "dark", "phone", "dark phone"])
def test_pages_have_no_barrier_that_axe_knows_and_fit(site, browse, dark, width):
    one = upload(site, "grey.jpg")
    page = browse(site.url + "/", dark, width)
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == ("rgb(23, 20, 18)" if dark else "rgb(250, 248, 245)")
    found = defaultdict(list)

    def look(what: str):
        found[what] += violations(page)
        if not fits(page):
            found[what].append("it is wider than the screen")

    expect(page.locator("#drop")).to_be_visible()
    look("nothing chosen")
    page.locator("#files").set_input_files(files("grey.jpg", BROKEN))
    expect(page.locator("#summary")).to_have_text("1 of 2 completed, 1 failed")
    expect(page.get_by_text("Callback: taken")).to_have_count(2)
    for summary in page.locator("summary").all():
        summary.click()
    look("two uploads")
    page.goto(site.url + "/admin")
    expect(page.locator(".tiles li").first).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()
    look("overview")
    for name in ("Uploads", "Callbacks", "Configuration"):
        page.locator(".tabs").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, level=2)).to_be_visible()
        look(name)
    page.goto(site.url + f"/admin#uploads/{one}")
    expect(page.get_by_role("heading", name=f"Upload {one}")).to_be_visible()
    look("timeline")
    page.get_by_role("button", name="Delete").click()
    look("dialog")
    assert not any(found.values()), json.dumps(found, indent=1)


def test_what_the_server_says_of_its_pages(site):
    html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/", "/admin", "/docs"):
        answer = site.call("GET", path, headers=html)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8" and answer.text.startswith("<!doctype html>")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy and "unsafe" not in policy
        assert f"connect-src 'self' {site.store};" in policy
        assert answer.headers["X-Frame-Options"] == "DENY" and answer.headers["Cache-Control"] == "no-cache"
        again = site.call("GET", path, headers=html | {"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        for part in re.findall(r'(?:src|href)="(/web/[^"]+)"', answer.text):
            assert site.call("GET", part).status_code == 200, part
    assert "each at most 10 MiB." in site.call("GET", "/", headers=html).text and "{most}" not in site.call("GET", "/docs", headers=html).text
    # A program is told addresses, as ever.
    index = site.call("GET", "/")
    assert index.json()["page"] == site.url + "/" and "accept" in index.headers["Vary"]
    assert site.call("GET", "/web/..%2fCargo.toml").status_code == site.call("GET", "/web/none.js").status_code == 404
    assert f"page       {site.url}/" in site.log()
