"""What somebody does in a browser with a Django project: a program, since the browser's driver is in an environment of its own."""
import json
import re
import sys
import time
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect, sync_playwright

# The last ones keep the browser from looking for its maker.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
LOADED = "all => all.map(image => [image.naturalWidth, image.naturalHeight, image.getAttribute('style')])"


def log_in(page: Page, url: str, user: str, password: str) -> None:
    page.goto(f"{url}/admin/login/?next=/admin/")
    page.fill("[name=username]", user)
    page.fill("[name=password]", password)
    page.click("[type=submit]")
    expect(page.locator("#site-name")).to_be_visible()


def choose(page: Page, action: str) -> str:
    """An action of the admin on what is ticked; what is said of it."""
    page.select_option("select[name=action]", action)
    page.click("button[name=index]")
    return page.locator(".messagelist").inner_text()


def profile(page: Page, url: str, user: str, password: str, photo: str, text: str, shots: str) -> dict:
    """A profile with a photo, by the project's own form; then a second photo by the admin's; then the admin's list of images,
    its actions, and the page of one."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    log_in(page, url, user, password)

    page.goto(f"{url}/profiles/new/")
    page.fill("[name=name]", "Ada <script>")
    page.set_input_files("[type=file]", photo)
    expect(page.locator("output")).to_have_text("Uploaded")
    page.screenshot(path=f"{shots}/form.png")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(r"/profiles/\d+/"))
    images = page.locator("img")
    for _ in range(100):  # until the callback came
        if images.count():
            break
        page.wait_for_timeout(100)
        page.reload()
    page.wait_for_load_state("networkidle")
    shown = images.evaluate_all(LOADED)
    page.screenshot(path=f"{shots}/profile.png")

    page.goto(f"{url}/admin/profiles/profile/1/change/")
    expect(page.locator(".tintype-upload img")).to_have_count(1)
    page.set_input_files("[type=file]", text)
    expect(page.locator("output")).to_contain_text("Not uploaded")
    page.screenshot(path=f"{shots}/failed-in-admin.png")
    page.click("[name=_save]")  # which says it again, and then takes the form as it is: with the photo that was there
    expect(page.locator(".tintype-upload [type=file]")).to_be_focused()
    page.click("[name=_save]")
    expect(page.locator(".success")).to_be_visible()

    page.goto(f"{url}/admin/async_image_upload/processedimage/")
    for _ in range(100):
        if page.locator("text=unsupported_format").count():
            break
        page.wait_for_timeout(100)
        page.reload()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=f"{shots}/admin.png")
    listed = page.locator("#result_list img").evaluate_all(LOADED)
    rows = page.locator("#result_list tbody tr").all_inner_texts()

    page.locator("#result_list tr", has_text="unsupported_format").locator("input.action-select").check()
    said = choose(page, "retry")

    page.locator("#result_list tr", has_text="completed").locator("th a, td a").first.click()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=f"{shots}/image.png", full_page=True)
    variants = page.locator(".field-all_variants img").evaluate_all(LOADED)
    urls = page.locator(".field-all_variants a").evaluate_all("all => all.map(link => link.href)")

    page.go_back()
    page.locator("#result_list tr", has_text="completed").locator("input.action-select").check()
    erased = choose(page, "erase")
    return {"shown": shown, "listed": listed, "rows": rows, "retry": said, "problems": problems, "variants": variants,
            "urls": urls, "erase": erased}


def saving(page: Page, url: str, user: str, password: str, photo: str, text: str, shots: str) -> dict:
    """Forms that are sent at once, in every way there is, while the line is slow."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    log_in(page, url, user, password)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")

    def line(bytes_per_second: int) -> None:
        network.send("Network.emulateNetworkConditions", {
            "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second})

    def choose_and(save, path: str = "new", fields: int = 1) -> dict:
        """Chooses a photo that takes some seconds, and sends the form before it is there."""
        line(-1)
        page.goto(f"{url}/profiles/{path}/")
        page.fill("[name=name]", path)
        line(100_000)
        for n in range(fields):
            page.locator("[type=file]").nth(n).set_input_files(photo)
        save()
        said, busy = page.locator("output").first.inner_text(), page.locator("form#edit").get_attribute("aria-busy")
        page.screenshot(path=f"{shots}/held-{path}.png")
        # A second press is no second sending.
        page.get_by_role("button", name="Save", exact=True).click() if path == "pair" else None
        page.wait_for_url(re.compile(r"/profiles/\d+/"), timeout=60000)
        line(-1)
        query = parse_qs(urlsplit(page.url).query, keep_blank_values=True)
        return {"said": said, "busy": busy, "then": query["then"][0], "by": query["by"][0], "photos": query["photos"][0].split()}

    def press(name: str):
        return lambda: page.get_by_role("button", name=name, exact=True).click(no_wait_after=True)

    def now() -> dict:
        return {"said": page.locator("output").first.inner_text(), "role": page.locator("output").first.get_attribute("role"),
                "stayed": not re.search(r"/profiles/\d+/", page.url), "focus": page.evaluate("document.activeElement.type")}

    seen: dict = {
        "button": choose_and(press("Save")),
        "enter": choose_and(lambda: page.press("[name=name]", "Enter", no_wait_after=True)),
        "requestSubmit": choose_and(lambda: page.evaluate("document.querySelector('form#edit').requestSubmit()")),
        "formaction": choose_and(press("Save and more")),
        "outside": choose_and(press("Save from outside")),
        "apart": choose_and(press("Save"), "apart"),
        "strict": choose_and(press("Save"), "strict"),
        "pair": choose_and(press("Save"), "pair", 2),
    }

    # One that is no image: the form stays, says why, and may then be sent without.
    page.goto(f"{url}/profiles/new/")
    page.fill("[name=name]", "no image")
    page.set_input_files("[type=file]", text)
    press("Save")()
    expect(page.locator("output")).to_contain_text("Not uploaded")
    page.wait_for_timeout(500)
    seen["failed"] = now()
    page.screenshot(path=f"{shots}/failed.png")
    press("Save")()
    page.wait_for_url(re.compile(r"/profiles/\d+/"))
    seen["again"] = {"photos": parse_qs(urlsplit(page.url).query, keep_blank_values=True)["photos"][0].split()}

    # One of no bytes: said before anybody is asked.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.goto(f"{url}/profiles/new/")
    page.set_input_files("[type=file]", {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""})
    expect(page.locator("output")).to_contain_text("Not uploaded")
    seen["empty"] = {"said": now()["said"], "asked": list(asked)}
    page.screenshot(path=f"{shots}/empty.png")

    # One that failed while nobody looked.
    page.goto(f"{url}/profiles/new/")
    page.fill("[name=name]", "no image")
    page.set_input_files("[type=file]", text)
    expect(page.locator("output")).to_contain_text("Not uploaded")
    press("Save")()
    page.wait_for_timeout(500)
    seen["seen late"] = now()

    # A photo that has to be there: the browser says so, and the server where the browser does not.
    page.goto(f"{url}/profiles/strict/")
    page.fill("[name=name]", "strict")
    press("Save")()
    page.wait_for_timeout(500)
    seen["required"] = now()
    page.evaluate("document.querySelector('form#edit').noValidate = true")
    press("Save")()
    page.wait_for_load_state("networkidle")
    seen["required by the server"] = page.locator(".errorlist").first.inner_text()

    page.goto(f"{url}/admin/profiles/profile/add/")
    page.fill("[name=name]", "of the admin")
    line(100_000)
    page.set_input_files("[type=file]", photo)
    page.press("[name=name]", "Enter", no_wait_after=True)
    expect(page.locator(".success")).to_be_visible(timeout=60000)
    line(-1)
    page.click(".success a")
    page.wait_for_load_state("networkidle")
    seen["admin"] = page.locator(".tintype-upload img").count()

    plain = page.context.browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    page = plain.new_page()
    page.goto(f"{url}/profiles/new/")
    page.fill("[name=name]", "plain")
    page.set_input_files("[type=file]", photo)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_load_state("networkidle")
    seen["without JavaScript"] = page.locator("body").inner_text()
    page.screenshot(path=f"{shots}/without-javascript.png")
    return {**seen, "problems": problems}


def at_once(page: Page, url: str, user: str, password: str, photo: str) -> dict:
    """A photo is chosen and the form sent at once: how long that takes, and the pictures of the page that follows."""
    log_in(page, url, user, password)
    page.goto(f"{url}/profiles/new/")
    page.fill("[name=name]", "Ada")
    started = time.monotonic()
    page.set_input_files("[type=file]", photo)
    page.get_by_role("button", name="Save", exact=True).click(no_wait_after=True)
    page.wait_for_url(re.compile(r"/profiles/\d+/"), timeout=60000)
    took = time.monotonic() - started
    page.wait_for_load_state("networkidle")
    return {"took": took, "shown": page.locator("img").evaluate_all(LOADED)}


if __name__ == "__main__":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(20000)
        print(json.dumps({"profile": profile, "saving": saving, "at_once": at_once}[sys.argv[1]](page, **json.loads(sys.argv[2]))))
        browser.close()
