"""The model of Lambda's time and price.

A function of M MB has M / 1769 of a core; one photo's work has one thread and so never more than one core; the time is
the CPU time by that share, in whole ms upwards; a ms of a GB costs 0.0000000166667 dollars, which gives the seed's own
prices. Transfers from and to the store, and the fee a call, are not in it.
"""
import math
from dataclasses import dataclass

ONE_CORE_MB = 1769
DOLLARS_PER_GB_MS = 0.0000166667 / 1000
SETTINGS_MB = (128, 256, 512, 1024, 1769, 2048, 3008, 4096)


@dataclass(frozen=True)
class Setting:
    """One memory setting for one photo."""
    memory_mb: int
    ms: int
    dollars_per_million: float
    fits: bool


def settings(cpu_ms: float, peak_mib: float) -> list[Setting]:
    def one(mb: int) -> Setting:
        ms = math.ceil(cpu_ms / min(1, mb / ONE_CORE_MB))
        return Setting(mb, ms, price(mb, ms), peak_mib <= mb)
    return [one(mb) for mb in SETTINGS_MB]


def price(mb: int, ms: float) -> float:
    """Dollars for a million photos."""
    return mb / 1024 * DOLLARS_PER_GB_MS * ms * 1e6


def cheapest(choices: list[Setting]) -> Setting:
    """Of those that hold the work. Whole ms make prices differ where the model's do not: within 2% the quickest counts."""
    fitting = [c for c in choices if c.fits]
    least_price = min(c.dollars_per_million for c in fitting)
    return min((c for c in fitting if c.dollars_per_million <= 1.02 * least_price), key=lambda c: (c.ms, c.memory_mb))
