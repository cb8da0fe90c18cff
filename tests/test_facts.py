"""Facts of the image, in the manifest: right, and the same for what looks the same."""
import itertools

import blurhash
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

import corpus
from conftest import DATA
from support import tintype
from support.pillow import opened

NEAR = 10  # docs/images.md: so many bits apart, at most, and two pictures are taken for one


def facts(tmp_path, files: dict[str, bytes]) -> dict[str, dict]:
    """File name -> `image` of its manifest."""
    folder = corpus.write(tmp_path / "in", files)
    status, lines, err = tintype.process(tmp_path / "out", folder)
    assert status == 0 and len(lines) == len(files), err
    return {line["original"]["key"]: line["image"] for line in lines}


def distance(one: dict, other: dict) -> int:
    return (int(one["perceptual_hash"], 16) ^ int(other["perceptual_hash"], 16)).bit_count()


def test_blurhash_shows_the_picture(tmp_path):
    soft = lambda *size: made(sum(size), (3, 3), 0).resize(size)
    pictures = {"wide": soft(300, 200), "tall": soft(200, 300), "clear": soft(200, 150).convert("RGBA")}
    pictures["clear"].putalpha(Image.linear_gradient("L").resize((200, 150)))
    told = facts(tmp_path, {f"{name}.png": corpus.save(picture, "PNG") for name, picture in pictures.items()})
    for name, picture in pictures.items():
        hash, size = told[f"{name}.png"]["blurhash"], (32, 24) if picture.width > picture.height else (24, 32)
        assert blurhash.components(hash) == ((4, 3) if picture.width > picture.height else (3, 4))
        shown = np.asarray(blurhash.decode(hash, *size)).astype(int)
        white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA")).convert("RGB")
        soft = np.asarray(white.filter(ImageFilter.GaussianBlur(min(picture.size) / 8)).resize(size, Image.Resampling.BOX)).astype(int)
        like = lambda other: float(np.corrcoef(shown.ravel(), other.ravel())[0, 1])
        assert np.abs(shown.mean((0, 1)) - soft.mean((0, 1))).max() < 20, name  # the hash averages light, this its levels
        assert like(soft) > .9 and max(like(soft[:, ::-1]), like(soft[::-1])) < .7, (name, like(soft))  # upright, and no mirror image


def test_palette_is_what_there_is(tmp_path):
    flag = Image.new("RGB", (200, 100), (10, 60, 150))
    flag.paste((250, 200, 20), (0, 0, 60, 100))
    flag.paste((200, 20, 30), (60, 0, 80, 100))
    clear = flag.convert("RGBA")
    clear.paste((0, 255, 0, 0), (80, 0, 200, 100))
    told = facts(tmp_path, {"flag.png": corpus.save(flag, "PNG"), "clear.png": corpus.save(clear, "PNG"),
                            "photo.jpg": corpus.save(corpus.photo(300, 200, 74), "JPEG")})
    near = lambda text, color: max(abs(int(text[i:i + 2], 16) - v) for i, v in zip((1, 3, 5), color)) <= 3
    for name, parts in (("flag.png", [((10, 60, 150), .6), ((250, 200, 20), .3), ((200, 20, 30), .1)]),
                        ("clear.png", [((250, 200, 20), .75), ((200, 20, 30), .25)])):
        palette = told[name]["palette"]
        assert all(near(swatch["color"], color) and abs(swatch["share"] - share) < .03 for swatch, (color, share) in zip(palette, parts)), palette
        assert sum(swatch["share"] for swatch in palette[len(parts):]) < .05, palette  # edges, mixed by the sample
        assert told[name]["dominant_color"] == palette[0]["color"]
    palette = told["photo.jpg"]["palette"]
    shares = [swatch["share"] for swatch in palette]
    assert 2 <= len(palette) <= 6 and shares == sorted(shares, reverse=True) and .9 < sum(shares) < 1.05


def test_camera_is_named_and_nothing_private(tmp_path):
    tags = corpus.exif(1)
    tags[0x010F], tags[0x0110], tags[315] = " Tin\x07type\x1b ", "Corpus" * 100, "SECRET artist"
    tags.get_ifd(corpus.EXIF_IFD).update({42036: "A lens", 42037: "SECRET", 42032: "SECRET"})
    told = facts(tmp_path, {"a.jpg": corpus.save(corpus.photo(90, 60), "JPEG", exif=tags), "none.jpg": corpus.save(corpus.photo(90, 60), "JPEG"),
                            "a.webp": corpus.save(corpus.photo(90, 60), "WEBP", exif=tags)})
    for name in ("a.jpg", "a.webp"):
        assert told[name]["camera"] == {"make": "Tintype", "model": ("Corpus" * 100)[:64], "lens": "A lens"}
        assert "SECRET" not in str(told[name]) and "SN-" not in str(told[name])
    assert told["none.jpg"]["camera"] is None


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    return corpus.save(image, "JPEG", quality=quality)


def scaled(image: Image.Image, by: float) -> Image.Image:
    return image.resize((round(image.width * by), round(image.height * by)), Image.Resampling.LANCZOS)


def cropped(image: Image.Image, part: float) -> Image.Image:
    x, y = round(image.width * part), round(image.height * part)
    return image.crop((x, y, image.width - x, image.height - y))


EDITS = {
    "half the size": lambda i: jpeg(scaled(i, .5)), "a quarter": lambda i: jpeg(scaled(i, .25)), "quality 30": lambda i: jpeg(i, 30),
    "as WebP": lambda i: corpus.save(i, "WEBP", quality=60), "a fifth brighter": lambda i: jpeg(ImageEnhance.Brightness(i).enhance(1.2)),
    "a fifth darker": lambda i: jpeg(ImageEnhance.Brightness(i).enhance(.8)), "more contrast": lambda i: jpeg(ImageEnhance.Contrast(i).enhance(1.3)),
    "grey": lambda i: jpeg(i.convert("L")), "blurred": lambda i: jpeg(i.filter(ImageFilter.GaussianBlur(i.width / 200))),
    "1% cropped off each side": lambda i: jpeg(cropped(i, .01)),
}


def made(seed: int, shapes: tuple[int, int] = (9, 6), fine: float = .3) -> Image.Image:
    """Soft shapes of any colour, and finer ones over them: no two seeds have anything in common."""
    rng = np.random.default_rng(seed)
    parts = [rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8) for columns, rows in (shapes, (60, 40))]
    return Image.blend(*(Image.fromarray(part).resize((600, 400), Image.Resampling.BICUBIC) for part in parts), fine)


def scenes() -> dict[str, Image.Image]:
    """Photos kept beside the repository, where there are any, and made ones that stand in for them."""
    kept = [DATA / "corgi.jpg", DATA / "exif/Landscape_1.jpg", DATA / "exif/Portrait_1.jpg"]
    found = {path.stem: ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in kept if path.exists()}
    for image in found.values():
        image.thumbnail((1200, 1200))
    return found | {f"made{n}": made(75 + n) for n in range(6)}


def test_what_looks_alike_hashes_alike(tmp_path, say):
    originals = scenes()
    files = {f"{name}.png": corpus.save(image, "PNG", compress_level=1) for name, image in originals.items()}
    kinds = {}
    for (name, image), (what, edit) in itertools.product(originals.items(), EDITS.items()):
        data = edit(image)
        kinds[f"{name}~{what.replace(' ', '-').replace('%', '')}.{opened(data).format.lower()}"] = (name, what, data)
    told = facts(tmp_path, files | {key: data for key, (_, _, data) in kinds.items()})
    apart: dict[str, list[int]] = {}
    for key, (name, what, _) in kinds.items():
        apart.setdefault(what, []).append(distance(told[key], told[f"{name}.png"]))
    for what, bits in apart.items():
        say(f"{what}: {np.median(bits):g} bits, {max(bits)} at most, of {len(bits)}")
        assert max(bits) <= NEAR, (what, bits)
    others = [distance(told[a], told[b]) for a, b in itertools.combinations(files, 2)]
    say(f"unrelated: {np.median(others):g} bits, {min(others)} at least, of {len(others)} pairs")
    assert min(others) > NEAR
