"""The plots of docs/performance.md."""
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import matplotlib.ticker

from . import report
from .tools import VARIANTS

COLOURS = {"Tintype": "#c2410c", "seed (Pillow)": "#475569", "libvips": "#2563eb", "sharp": "#16a34a", "ImageMagick": "#a855f7",
           "jpegtran -copy none": "#0f172a", "djpeg -scale 1/8": "#94a3b8"}


def save(figure, file: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def compare(files: list[dict], out: Path) -> None:
    cpu(files, out / "cpu.png")
    for field, file in (("psnr", "fidelity.png"), ("psnr_before_encoding", "fidelity-before-encoding.png")):
        if any(field in tool for f in files for tool in f["tools"].values()):
            fidelity(files, field, out / file)


def bars(axes, groups: list[str], series: dict[str, list]) -> None:
    """Groups along the axis, in each a bar a series; None leaves a gap."""
    width = 0.8 / max(len(series), 1)
    for i, (name, heights) in enumerate(series.items()):
        at = [g - 0.4 + width * (i + 0.5) for g, h in enumerate(heights) if h is not None]
        axes.bar(at, [h for h in heights if h is not None], width * 0.92, label=name, color=COLOURS.get(name))
    axes.set_xticks(range(len(groups)), groups)


def cpu(files: list[dict], out: Path) -> None:
    figure, axes = plt.subplots(figsize=(max(8, 1.5 * len(files)), 4.5))
    names = [n for n in COLOURS if any(n in f["tools"] for f in files)]
    bars(axes, [f["file"].rsplit("-", 1)[-1] for f in files],
         {n: [report.own_ms(f["tools"][n], n) if n in f["tools"] else None for f in files] for n in names})
    axes.set_yscale("log")
    axes.set_ylim(bottom=1)
    plain_ticks(axes.yaxis)
    axes.set_ylabel("CPU ms, less start-up of peers (log)")
    axes.set_title("All eight variants of one file, one thread")
    axes.legend(fontsize=8, ncols=2)
    save(figure, out)


def fidelity(files: list[dict], field: str, out: Path) -> None:
    """The mean over the files of each format would hide the worst: one panel a file."""
    shown = [f for f in files if any(field in t for t in f["tools"].values())]
    figure, panels = plt.subplots(len(shown), 1, figsize=(9, 2.4 * len(shown)), squeeze=False)
    for axes, file in zip(panels[:, 0], shown):
        tools = {n: t for n, t in file["tools"].items() if field in t}
        bars(axes, VARIANTS, {n: [t[field][v]["rgb"] if t[field][v] else None for v in VARIANTS] for n, t in tools.items()})
        axes.set_ylim(bottom=20)
        axes.set_ylabel("PSNR, dB")
        axes.set_title(file["file"], fontsize=9)
        axes.tick_params(axis="x", labelsize=7)
    panels[0, 0].legend(fontsize=7, ncols=5)
    save(figure, out)


def plain_ticks(axis, at: list[int] | None = None) -> None:
    """Numbers instead of powers; where told, only those."""
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda figure, _: f"{figure:g}"))
    if at:
        axis.set_ticks(at)
    axis.set_minor_locator(matplotlib.ticker.NullLocator())


def memory(rows: list[dict], wanted: dict[int, int], out: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for axes, name in zip(panels, rows[0]["peak_mib"]):
        for kind in dict.fromkeys(r["kind"] for r in rows):
            own = [r for r in rows if r["kind"] == kind and r["peak_mib"][name] is not None]
            axes.plot([r["megapixels"] for r in own], [r["peak_mib"][name] for r in own], marker="o", label=kind)
        axes.set_xscale("log")
        axes.set_yscale("log", base=2)
        axes.set_xlabel("megapixels (log)")
        axes.set_title(name)
        plain_ticks(axes.xaxis, sorted({r["megapixels"] for r in rows}))
        plain_ticks(axes.yaxis)
    panels[0].plot(list(wanted), list(wanted.values()), "kx", label="demanded of jpeg")
    panels[0].set_ylabel("peak resident MiB (log)")
    panels[0].legend(fontsize=8)
    save(figure, out)


def cost(told: list[dict], published: dict[int, dict[int, float]], out: Path) -> None:
    """A colour a size; `published` are the seed's dollars, by size and memory."""
    figure, axes = plt.subplots(figsize=(9.5, 5))
    for colour, photo in zip(plt.cm.viridis([0.0, 0.22, 0.45, 0.7, 0.9]), told):
        for field, style, whose in (("tintype_settings", "-o", "Tintype"), ("pillow_settings", ":o", "seed's code, modelled")):
            own = [s for s in photo[field] if s["fits"]]
            axes.plot([s["memory_mb"] for s in own], [s["dollars_per_million"] for s in own], style, markersize=3, color=colour,
                      label=f"{whose}, {photo['size'] // 1000} KB")
        dollars = published[photo["size"]]
        axes.plot(list(dollars), list(dollars.values()), "x", color=colour, label=f"seed, published, {photo['size'] // 1000} KB")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    plain_ticks(axes.xaxis, [s["memory_mb"] for s in told[0]["tintype_settings"]])
    plain_ticks(axes.yaxis)
    axes.tick_params(axis="x", labelsize=8, rotation=45)
    axes.set_xlabel("MB of memory (log)")
    axes.set_ylabel("dollars for a million photos (log)")
    axes.set_title("Lambda, modelled from measured CPU")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    save(figure, out)
