"""What the clients send: small pictures of every format, and a tenth that are none."""
from functools import cache

import corpus

BROKEN = ("text.jpg", "truncated.jpg", "truncated.png", "magic-only.jpg", "64000x64000.png", "5000-frames.gif")


@cache
def files() -> dict[str, bytes]:
    good = {f"{kind}-{n}.{ending}": corpus.save(corpus.photo(*size, seed=40 + n), kind, **options)
            for kind, ending, options in (("JPEG", "jpg", {"quality": 85}), ("PNG", "png", {}), ("WEBP", "webp", {}), ("BMP", "bmp", {}))
            for n, size in enumerate(((120, 90), (640, 480)))}
    good["JPEG-large.jpg"] = corpus.save(corpus.photo(2400, 1600, 50), "JPEG", quality=85)
    good["moving.gif"] = next(data for name, data in corpus.gif_files().items() if len(data) < 100_000)
    return good | {f"broken-{name}": corpus.broken()[name][0] for name in BROKEN}


def codes(name: str) -> set[str] | None:
    """The codes a broken picture may fail with; None for a good one."""
    return corpus.broken()[name.removeprefix("broken-")][1] if name.startswith("broken-") else None


def choose(dice) -> str:
    broken = dice.random() < 0.1
    return dice.choice([name for name in files() if name.startswith("broken-") == broken])
