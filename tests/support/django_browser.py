"""What somebody does in a browser with a Django project: a program, since the browser's driver is in an environment of its own."""
import json
import sys

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
    page.click("[type=submit]")
    page.wait_for_url("**/profiles/*/")
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
    expect(page.locator("output")).to_have_text("Uploaded")
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


if __name__ == "__main__":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(20000)
        print(json.dumps({"profile": profile}[sys.argv[1]](page, **json.loads(sys.argv[2]))))
        browser.close()
