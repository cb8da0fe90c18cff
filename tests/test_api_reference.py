"""The reference at /docs, in a real browser: it shows all that the server's own OpenAPI document says."""
import json
import re
import subprocess

import jsonschema_rs
import pytest
from playwright.sync_api import expect

from support import tintype
from support.process import REPO
from test_auth import ANYONE, ROUTES
from test_pages import browse, fits, violations  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    server = tintype.Server(tmp_path_factory.mktemp("site"), None)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def document(site) -> dict:
    return site.call("GET", "/openapi.json").json()


def unfold(page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    expect(page.get_by_role("region", name="Example of What", exact=True)).to_be_attached()


def operations(document: dict):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def test_every_operation_parameter_status_code_and_shape_is_on_the_page(site, browse, document):
    page, said = browse(site.url + "/docs"), []
    page.on("console", lambda message: said.append(message.text))
    page.reload()
    expect(page.locator("#shapes")).to_be_attached()
    unfold(page)
    count = 0
    for method, path, operation in operations(document):
        text = page.locator(f"article#{operation['operationId']}").inner_text()
        count += 1
        assert re.search(rf"{method}\s+{re.escape(path)}\s", text), operation["operationId"]
        assert operation["summary"] in text and "curl -sS" in text
        for parameter in operation.get("parameters", []):
            assert parameter["name"] in text, (path, parameter["name"])
        for status, response in operation["responses"].items():
            codes = re.findall(r"`([a-z_]+)`", response["description"]) if "application/problem+json" in response.get("content", {}) else []
            assert status in text and all(code in text for code in codes), (path, status)
        for way in operation.get("security", []):
            for scheme, scopes in way.items():
                assert all(word in text for word in [scheme, *scopes]), (path, way)
    assert count == page.locator("#reference article:has(h4)").count() > 20
    for name, shape in document["components"]["schemas"].items():
        text = page.locator(f"article#schema-{name}").inner_text()
        assert all(field in text for field in shape.get("properties", {})), name
    text = page.locator("main").inner_text()
    assert "undefined" not in text and "[object" not in text and "NaN" not in text
    # Every link leads somewhere.
    hrefs = set(page.locator("main a").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))"))
    assert [href for href in hrefs if href.startswith("#") and not page.locator(f"[id='{href[1:]}']").count()] == []
    assert said == []


def test_examples_fit_their_shapes(site, browse, document):
    """Those that the page makes are of the document's shapes, as the program's answers are."""
    page = browse(site.url + "/docs")
    expect(page.locator("#shapes")).to_be_attached()
    unfold(page)
    registry = {"$id": "urn:api", "components": document["components"]}
    shown = page.evaluate("""() => [...document.querySelectorAll("article[id^=schema-] pre")].map((pre) =>
        [pre.closest("article").id.slice(7), JSON.parse(pre.textContent)])""")
    assert len(shown) == len(document["components"]["schemas"])
    for name, example in shown:
        shape = registry | {"$ref": f"#/components/schemas/{name}"}
        jsonschema_rs.validate(shape, example)


def test_errors_are_those_of_the_manual_and_of_every_scope(site, browse, document):
    manual = (REPO / "docs/api.md").read_text().split("\n## Errors")[1].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in manual.splitlines() if line.startswith("| `")]
    manual = {code: {int(status) for status in statuses.split(",")} for codes, statuses in rows for code in re.findall(r"`(\w+)`", codes)}
    known = {code: example["value"]["status"] for code, example in document["components"]["examples"].items()}
    assert len(known) > 15 and known.keys() == manual.keys()
    # A row of two codes and two statuses has one for each.
    assert all(status in manual[code] for code, status in known.items())
    page = browse(site.url + "/docs")
    for code, status in known.items():
        expect(page.locator(f"#error-{code}")).to_contain_text(f"{code} {status}")
    for method, path, operation in operations(document):
        scope = ROUTES[method, path]
        keys = [scopes for way in operation.get("security", []) for name, scopes in way.items() if name == "api_key"]
        assert keys == ([] if scope is ANYONE else [[scope]]), (method, path)


def test_a_line_of_curl_does_what_it_says(site, browse, document):
    page = browse(site.url + "/docs")
    line = page.get_by_role("region", name="curl line of create_upload").inner_text()
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20)
    assert json.loads(answer.stdout)["status"] == "pending", answer
    line = page.get_by_role("region", name="curl line of get_upload", exact=True).inner_text()
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20)
    assert json.loads(answer.stdout)["code"] == "not_found", answer


def test_it_is_reached_and_read_by_keyboard(site, browse):
    page = browse(site.url + "/")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="API").click()
    expect(page).to_have_url(site.url + "/docs")
    expect(page.locator("#shapes")).to_be_attached()
    assert page.title() == "Tintype: API reference"
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    link = page.get_by_role("navigation", name="Contents").get_by_role("link", name="Delete an upload")
    for _ in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("(element) => element === document.activeElement"):
            break
    expect(link).to_be_focused()
    assert link.evaluate("(element) => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page).to_have_url(site.url + "/docs#delete_upload")
    expect(page.get_by_role("heading", name="Delete an upload")).to_be_in_viewport()
    # From there on the keyboard goes on where the link led.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('article').id") == "delete_upload"
    # An address with a fragment opens there.
    page.goto("about:blank")
    page.goto(site.url + "/docs#error-quota_exceeded")
    expect(page.locator("#error-quota_exceeded")).to_be_in_viewport()


@pytest.mark.parametrize("dark, width", [(False, 1100), (True, 375)], ids=["light", "dark phone"])
def test_the_reference_has_no_barrier_that_axe_knows_and_fits(site, browse, dark, width):
    page = browse(site.url + "/docs", dark, width)
    expect(page.locator("#shapes")).to_be_attached()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == ("rgb(23, 20, 18)" if dark else "rgb(250, 248, 245)")
    # One example of an operation and one of a shape: the others are made by the same lines.
    for name in ("create_upload", "schema-Upload"):
        page.locator(f"article#{name} summary").click()
    assert violations(page) == []
    unfold(page)
    assert fits(page)


def test_without_scripts_the_document_is_linked(site, browse):
    page = browse(site.url + "/docs", java_script_enabled=False)
    expect(page.locator("main").get_by_role("link", name="OpenAPI 3.1 document")).to_have_attribute("href", "/openapi.json")
    assert "JavaScript" in site.call("GET", "/docs").text.split("<noscript>")[1]
