"""The tables of one run, made of its JSON alone."""
import json
from pathlib import Path

from . import demands, plots
from .tools import VARIANTS


def write(told: dict, out: Path) -> str:
    """Writes compare.json, compare.md and the plots; returns the Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare.json").write_text(json.dumps(told, indent=1))
    text = "\n\n".join([heading(told), summary(told["files"]), demands.table(told["files"]), *map(one_file, told["files"])]) + "\n"
    (out / "compare.md").write_text(text)
    plots.compare(told["files"], out)
    return text


def markdown(head: list[str], rows: list[list]) -> str:
    """The first column is words, the others are figures."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def heading(told: dict) -> str:
    about = told["machine"]
    versions = "; ".join(f"{name}: {version}" for name, version in about["tools"].items())
    return (f"{about['cpu']}, {about['cores']} cores, {about['system']}, load {about['load']} at the start; up to {told['rounds']} rounds, "
            f"one thread on one core each.\n{versions}.")


def own_ms(tool: dict, name: str) -> float:
    """What counts when tools are held against each other: a peer's CPU less its start-up, Tintype's whole."""
    return tool["cpu_ms"] if name == "Tintype" else max(tool["cpu_ms"] - tool["startup_ms"], 0.0)


def jpegtran_ms(tools: dict) -> float | None:
    return next((tool["cpu_ms"] for name, tool in tools.items() if name.startswith("jpegtran")), None)


def times(figure: float, of: float | None) -> str:
    return "" if not of else f"{figure / of:.2f}"


def summary(files: list[dict]) -> str:
    names = list(dict.fromkeys(name for file in files for name in file["tools"]))
    rows = [[f"{file['file']}", f"{file['width'] * file['height'] / 1e6:.1f}",
             *(f"{own_ms(file['tools'][n], n):.1f}" if n in file["tools"] else "" for n in names)] for file in files]
    return "CPU ms; peers less their start-up.\n\n" + markdown(["file", "MP", *names], rows)


def one_file(file: dict) -> str:
    several = f", {file['frames']} frames" if file["frames"] > 1 else ""
    title = f"### {file['file']}\n\n{file['kind']}, {file['width']}x{file['height']}{several}, {file['bytes']} bytes"
    failures = "".join(f"\n\n{name} failed: `{why}`" for name, why in file["failures"].items())
    return "\n\n".join(filter(None, [title + failures, costs(file), fidelity(file, "psnr", "after encoding"),
                                     fidelity(file, "psnr_before_encoding", "before encoding, written as PNG")]))


def costs(file: dict) -> str:
    tools = file["tools"]
    own = tools["Tintype"]["cpu_ms"] if "Tintype" in tools else None
    head = ["tool", "CPU ms", "less start-up", "to Tintype", "to jpegtran", "wall ms", "peak MiB", "bytes", "rounds"]
    rows = []
    for name, tool in tools.items():
        counted = own_ms(tool, name)
        rows.append([name, f"{tool['cpu_ms']:.1f}", f"{tool['cpu_ms'] - tool['startup_ms']:.1f}", times(counted, own),
                     times(counted, jpegtran_ms(tools)), f"{tool['wall_ms']:.1f}", f"{tool['peak_mib']:.1f}",
                     sum(tool.get("variant_bytes", {}).values()) or "", tool["rounds"]])
    return markdown(head, rows)


def fidelity(file: dict, field: str, when: str) -> str:
    """Of each variant: RGB, and luma after the stroke; bytes as well where they tell."""
    names = [name for name, tool in file["tools"].items() if field in tool]
    if not names:
        return ""

    def cell(tool: dict, variant: str) -> str:
        found = tool[field][variant]
        figures = f"{found['rgb']:.1f} / {found['luma']:.1f}" if found else "other frames"
        return figures + (f" ({tool['variant_bytes'][variant]})" if field == "psnr" else "")

    rows = [[variant, *(cell(file["tools"][n], variant) for n in names)] for variant in VARIANTS]
    what = "dB, RGB / luma" + (" (bytes)" if field == "psnr" else "")
    return f"PSNR {when}: {what}.\n\n" + markdown(["variant", *names], rows)
