"""Tintype, its peers, and the two yardsticks: how each is run, and where it leaves its files."""
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .measure import PEERS, ROOT

VARIANTS = ["original_blurred", "400x400", "400x400_blurred", "100x100", "100x100_blurred", "50x50", "50x50_blurred"]
BOXES = {name: int(name.split("x")[0]) for name in VARIANTS if name[0].isdigit()}
SIGMAS = {name: BOXES[name] / 100 if name in BOXES else 20 for name in VARIANTS if name.endswith("_blurred")}

PEER_FILES = ROOT / "bench" / "peers"
PYTHON = PEERS / "venv" / "bin" / "python"
JPEG = (".jpg", ".jpeg")
PNG_PRESET = PEER_FILES / "png.toml"


@dataclass(frozen=True)
class Tool:
    """`command` takes the file, the folder to write to, and whether to write PNG, which shows the pixels unspoilt."""
    name: str
    command: Callable[[Path, Path, bool], list]
    version: str
    # what it costs to start and do nothing, of programs that an interpreter runs
    startup: list | None = None
    endings: tuple[str, ...] = (*JPEG, ".png", ".webp", ".gif")
    # a yardstick makes no variants
    yardstick: bool = False
    can_write_png: bool = True


def tintype_binary(build: bool) -> Path:
    """`BIN_UNDER_TEST`, or the release build, which is made if it is missing or asked for."""
    if named := os.environ.get("BIN_UNDER_TEST"):
        return Path(named).resolve()
    binary = ROOT / "target" / "release" / "tintype"
    if build or not binary.exists():
        print("bench: building target/release/tintype, some minutes the first time", file=sys.stderr)
        subprocess.run(["cargo", "build", "--release", "--locked", "-p", "tintype"], cwd=ROOT, check=True)
    return binary


def magick() -> str:
    """ImageMagick 7 or 6, under the name it has here."""
    found = next(filter(shutil.which, ["magick", "convert-im6.q16", "convert"]), None)
    if found is None:
        sys.exit("bench: ImageMagick is not there; bench/install puts it there")
    return found


def said(*command) -> str:
    """The first line that a program says of its version."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    return ((done.stdout or done.stderr).strip().splitlines() or ["?"])[0]


def python_version(package: str) -> str:
    return said(PYTHON, "-c", f"from importlib.metadata import version; print(version('{package}'))")


def script(*interpreter) -> Callable[[Path, Path, bool], list]:
    return lambda file, out, png: [*interpreter, file, out, *(["png"] if png else [])]


def all_tools(build: bool = False) -> list[Tool]:
    """Tintype first, the yardsticks last."""
    binary, im = tintype_binary(build), magick()
    pillow, vips = [PYTHON, PEER_FILES / "pillow_seed.py"], [PYTHON, PEER_FILES / "vips.py"]
    sharp = ["node", PEER_FILES / "sharp.mjs"]
    sharp_version = json.loads((PEERS / "node/node_modules/sharp/package.json").read_text())["version"]
    turbo = said("jpegtran", "-version")
    return [
        Tool("Tintype", lambda file, out, png: tintype_command(binary, file, out, png), said(binary, "--version"), [binary, "--version"],
             can_write_png=writes_png(binary)),
        Tool("seed (Pillow)", script(*pillow), "Pillow " + python_version("pillow"), pillow),
        Tool("libvips", script(*vips), f"pyvips {python_version('pyvips')}, libvips {python_version('pyvips-binary')}", vips),
        Tool("sharp", script(*sharp), f"sharp {sharp_version}, node {said('node', '--version')}", sharp),
        Tool("ImageMagick", lambda file, out, png: [PEER_FILES / "magick.sh", im, file, out, "png" if png else file.suffix[1:]],
             said(im, "-version").removeprefix("Version: ").split(" https")[0], [im, "-version"]),
        Tool("jpegtran -copy none", lambda file, out, _: ["jpegtran", "-copy", "none", "-outfile", out / "copy.jpg", file], turbo,
             endings=JPEG, yardstick=True, can_write_png=False),
        Tool("djpeg -scale 1/8", lambda file, out, _: ["djpeg", "-scale", "1/8", "-outfile", out / "small.ppm", file], turbo,
             endings=JPEG, yardstick=True, can_write_png=False),
    ]


def tintype_command(binary: Path, file: Path, out: Path, png: bool) -> list:
    return [binary, "process", "--json", *(["--config", PNG_PRESET, "--preset", "png"] if png else []), "--out", out, file]


def writes_png(binary: Path) -> bool:
    """Whether this Tintype knows presets, and so can be asked for PNG of any image."""
    return subprocess.run([binary, "config", "--check", "--config", PNG_PRESET], capture_output=True).returncode == 0


def files_made(out: Path) -> dict[str, Path]:
    """Variant -> file, of what any of the tools has left in a folder."""
    if manifest := next((out / "image").glob("*.manifest.json"), None):
        return {v["name"]: out / v["key"] for v in json.loads(manifest.read_text())["variants"]}
    return {path.stem: path for path in out.iterdir() if path.stem in (*VARIANTS, "original")}
