"""What Tintype has set itself, and whether this run shows it."""
from collections.abc import Iterator

from . import report
from .tools import VARIANTS

# how many times the CPU of Tintype the others must take, from 500 KB on
AHEAD = {"seed (Pillow)": 9.0, "libvips": 3.5, "sharp": 4.5}
BLUR_DB = 55.0
# what rounding may move a PSNR by
SAME_DB = {"psnr_before_encoding": 0.05, "psnr": 0.05}
# of like quality
LIKE_DB = 0.5


def table(files: list[dict]) -> str:
    rows = [[file["file"], what, wanted, found, "yes" if met else "**no**"]
            for file in files if "Tintype" in file["tools"] for what, wanted, found, met in of_file(file)]
    met = sum(row[-1] == "yes" for row in rows)
    return f"Demands: {met} of {len(rows)} met.\n\n" + report.markdown(["file", "what", "wanted", "found", "met"], rows)


def of_file(file: dict) -> Iterator[tuple]:
    yield from (jpeg_speed if file["kind"] == "jpeg" else other_formats)(file)
    yield from fidelity(file)
    if file["kind"] in ("jpeg", "progressive"):
        yield from jpeg_sizes(file)


def jpeg_speed(file: dict) -> Iterator[tuple]:
    tools, own = file["tools"], file["tools"]["Tintype"]["cpu_ms"]
    yardstick = report.jpegtran_ms(tools)
    if file["bytes"] >= 1_000_000 and yardstick:
        yield "CPU to jpegtran", "at most 1.00", f"{own / yardstick:.2f}", own <= yardstick
    if file["bytes"] <= 120_000:
        yield "CPU ms", "at most 5", f"{own:.1f}", own <= 5
    if file["bytes"] >= 450_000:
        for peer, wanted in AHEAD.items():
            if peer in tools:
                ratio = report.own_ms(tools[peer], peer) / own
                yield f"times less CPU than {peer}", f"at least {wanted}", f"{ratio:.2f}", ratio >= wanted


def other_formats(file: dict) -> Iterator[tuple]:
    tools, own = file["tools"], file["tools"]["Tintype"]
    for peer in ("libvips", "sharp"):
        if peer in tools:
            ratio = report.own_ms(tools[peer], peer) / own["cpu_ms"]
            yield f"times less CPU than {peer}", "above 1", f"{ratio:.2f}", ratio > 1
            size = total_bytes(own) / total_bytes(tools[peer])
            yield f"bytes to {peer}'s", "at most 1.05", f"{size:.3f}", size <= 1.05
            if "psnr" in own:
                gap = mean_gap(own["psnr"], tools[peer]["psnr"])
                yield f"dB above {peer}'s, mean", f"at least {-LIKE_DB}", f"{gap:+.2f}", gap >= -LIKE_DB


def mean_gap(own: dict, theirs: dict) -> float:
    gaps = [own[v]["rgb"] - theirs[v]["rgb"] for v in VARIANTS if own[v] and theirs[v]]
    return sum(gaps) / len(gaps) if gaps else float("nan")


def total_bytes(tool: dict) -> int:
    return sum(tool["variant_bytes"].values())


def fidelity(file: dict) -> Iterator[tuple]:
    """Against the seed's, before encoding where both can show that, and after it."""
    own, seed = file["tools"]["Tintype"], file["tools"].get("seed (Pillow)", {})
    for field, when in (("psnr_before_encoding", "before encoding"), ("psnr", "encoded")):
        if field not in own or field not in seed:
            continue
        gaps = {v: own[field][v]["rgb"] - seed[field][v]["rgb"] for v in VARIANTS if own[field][v] and seed[field][v]}
        if gaps:
            worst = min(gaps, key=gaps.get)
            least, found = -SAME_DB[field], gaps[worst]
            yield f"dB above the seed's, {when}, worst ({worst})", f"at least {least}", f"{found:+.2f}", found >= least
    unspoilt = own.get("psnr" if file["kind"] == "png" else "psnr_before_encoding", {})
    if blur := unspoilt.get("original_blurred"):
        yield "dB of the blur before encoding", f"at least {BLUR_DB:.0f}", f"{blur['rgb']:.1f}", blur["rgb"] >= BLUR_DB


def jpeg_sizes(file: dict) -> Iterator[tuple]:
    own, seed = file["tools"]["Tintype"], file["tools"].get("seed (Pillow)")
    if seed:
        ratios = {v: own["variant_bytes"][v] / seed["variant_bytes"][v] for v in VARIANTS}
        worst = max(ratios, key=ratios.get)
        yield f"bytes to the seed's, worst ({worst})", "at most 1.03", f"{ratios[worst]:.3f}", ratios[worst] <= 1.03
