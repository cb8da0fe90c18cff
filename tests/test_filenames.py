"""What a client calls its file: kept, shown, searched, and refused at once where no image is called so."""
import pytest

from support import tintype
from support.process import REPO


@pytest.fixture
def server(embedded):
    return embedded


def ids(server, **query) -> set[str]:
    answer = server.call("GET", "/v1/uploads", params=query)
    assert answer.status_code == 200, answer.text
    return {upload["id"] for upload in answer.json()["uploads"]}


@pytest.mark.parametrize("given, kept", [("Corgi.JPG", "Corgi.JPG"), ("C:\\photos\\me.png", "me.png"), ("../../x/ü 日本.webp", "ü 日本.webp"),
                                         ("no extension", "no extension"), ("photos/", None), (None, None)])
def test_a_file_name_is_kept_and_shown(server, given, kept):
    created = server.create(filename=given, metadata={"order": "77"})
    shown = server.status(created["id"])
    assert (shown["filename"], shown["metadata"]) == (kept, {"order": "77"})
    listed = server.call("GET", "/v1/uploads", params={"q": created["id"]}).json()["uploads"]
    assert [(one["filename"], one["metadata"]) for one in listed] == [(kept, {"order": "77"})]


def test_uploads_are_found_by_name_and_metadata(server):
    corgi = server.create(filename="Summer Corgi 100%_1.JPG", metadata={"album": "Rome-2026"})["id"]
    other = server.create(filename="cat.png", metadata={"rome": "no"})["id"]
    for text in ("corgi", "SUMMER", "100%_", "i 100", "rome-2026", "Rome"):
        found = ids(server, q=text)
        assert corgi in found and other not in found, text
    assert other in ids(server, q="CAT") and corgi not in ids(server, q="CAT")
    for nothing in ("album", "o%i", "ome-2026", "100_", "\"", "image/*"):
        assert not {corgi, other} & ids(server, q=nothing), nothing
    for long in ("x" * 1025, " " * 1025, "x" + "\t" * 1024):
        assert server.call("GET", "/v1/uploads", params={"q": long}).status_code == 400
    assert ids(server, q="summer corgi", status="failed") == set()
    assert corgi in ids(server, q=corgi[:12]) and corgi in ids(server, q=f"temp/{corgi[:12]}")


@pytest.mark.parametrize("name", ["Ärger JPG.jpg", "Москва.PNG"])
def test_letters_beyond_ascii_are_found_as_they_were_written(server, name):
    upload = server.create(filename=name)["id"]
    stem, _, extension = name.rpartition(".")
    assert all(upload in ids(server, q=text) for text in (name, stem, f"{stem}.{extension.swapcase()}"))
    with open(REPO / "docs/api.md", encoding="utf-8") as page:
        assert "case of ASCII letters" in next(line for line in page if "/v1/uploads?status=" in line), "no more is promised"


@pytest.mark.parametrize("name", ["a.pdf", "A.PDF", "clip.mp4", "notes.txt", "logo.svg", "x/y.exe", "double.jpg.zip"])
def test_a_name_that_no_image_has_is_refused_at_once(server, name):
    answer = server.call("POST", "/v1/uploads", json={"filename": name})
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_format"), answer.text
    assert name.rsplit(".")[-1] in answer.json()["detail"] and "webp" in answer.json()["detail"]
    many = server.call("POST", "/v1/uploads", json=[{"filename": "a.jpg"}, {"filename": name}])
    assert many.status_code == 422 and "request 1" in many.json()["detail"], "all or none"


@pytest.mark.parametrize("asked, why", [
    ({"filename": "a.pdf", "content_type": "application/pdf"}, ".pdf"), ({"filename": "a.pdf", "content_type": "image/png"}, ".pdf"),
    ({"filename": "a.jpg", "content_type": "application/pdf"}, '"application/pdf"'), ({"content_type": "text/plain", "size": 0}, '"text/plain"')])
def test_a_content_type_that_no_image_has_is_refused_as_a_name_is(server, asked, why):
    answer = server.call("POST", "/v1/uploads", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_format"), answer.text
    told = answer.json()["detail"]
    assert why in told and "not an image" in told and "webp" in told and "use image" not in told, "it teaches nobody to lie"
    many = server.call("POST", "/v1/uploads", json=[{"filename": "a.jpg"}, asked])
    assert many.status_code == 422 and "request 1" in many.json()["detail"]


@pytest.mark.parametrize("content_type", ["", "image/", "IMAGE/PNG", "image/png; a=b", "image/png\r\n"])
def test_a_content_type_that_is_none_is_a_mistake_of_the_caller(server, content_type):
    answer = server.call("POST", "/v1/uploads", json={"filename": "a.png", "content_type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request") and "content_type" in answer.json()["detail"]


def test_an_empty_file_is_called_so(server):
    answer = server.call("POST", "/v1/uploads", json={"filename": "a.jpg", "size": 0})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request") and "the file is empty" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.jfif", "a.tif", "a.apng", "a.dib", "a.gif", "photo", "v1.2 final"])
def test_names_of_images_and_names_without_an_extension_are_taken(server, name):
    assert server.create(filename=name)["status"] == "pending"


@pytest.mark.parametrize("name, why", [("x" * 252 + ".jpg", "255"), ("é" * 126 + ".jpg", "255"), ("a\nb.jpg", "control"), ("a\0.jpg", "control"),
                                       ("a\x7f.jpg", "control")])
def test_names_that_nobody_can_keep_are_refused(server, name, why):
    answer = server.call("POST", "/v1/uploads", json={"filename": name})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request") and why in answer.json()["detail"]
    assert server.create(filename="x" * 251 + ".jpg")["id"]


def test_a_preset_may_take_any_name(tmp_path):
    (tmp_path / "tintype.toml").write_text('[presets.scans]\nfilenames = "any"\nvariants = [{ name = "original" }]\n')
    server = tintype.Server(tmp_path, args=("--config", str(tmp_path / "tintype.toml")))
    try:
        assert server.call("POST", "/v1/uploads", json={"filename": "scan.raw"}).status_code == 422
        # A browser says what it takes the file for.
        asked = server.create(filename="scan.pdf", content_type="application/pdf", preset="scans")
        assert asked["presign"]["fields"]["Content-Type"] == "image/*"
        created = server.create(filename="scan.raw", preset="scans")
        assert created["variants"][0]["key"] == f"image/{created['id']}.raw"
    finally:
        server.stop()
