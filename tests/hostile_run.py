"""`tests/hostile`: the long form of test_hostile_corpus.py, at the limits that a server comes with."""
import argparse
import sys
import tempfile
import time
from pathlib import Path

import hostile_corpus as made
from support.hostile import Run, served_as
from support.tintype import Server

DEADLINE, MEMORY, IDLE = 30, 1 << 30, 150 << 20  # limits.deadline, limits.memory, and a server that does nothing


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--flips", type=int, default=10_000, help="files with bits turned over")
    asked.add_argument("--seed", type=int, default=5, help="of the flips")
    asked.add_argument("--every", type=int, default=1, help="cut at every so many hundredths")
    asked = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="tintype-hostile-") as home:
        server = Server(Path(home), None)
        try:
            return feed_all(server, asked)
        finally:
            server.stop()


def feed_all(server: Server, asked: argparse.Namespace) -> int:
    run = Run(server, DEADLINE)
    parts = [("headers that lie, bombs by their header, polyglots", made.light(), 8),
             (f"cuts at every {asked.every} %", made.truncations(asked.every), 8),
             (f"{asked.flips} flips of seed {asked.seed}", made.flips(asked.flips, asked.seed), 8),
             ("bombs that the limits let in", made.heavy(), 1)]
    for what, files, clients in parts:
        before, start = len(run.ended), time.monotonic()
        run.feed(files, clients)
        part = run.ended[before:]
        slowest = max(part, key=lambda e: e.seconds)
        print(f"{what}: {len(part)} files in {time.monotonic() - start:.0f} s, slowest {slowest.name} {slowest.seconds:.1f} s; "
              f"peak RSS so far {run.peak >> 20} MiB", flush=True)
        if clients == 1:
            for e in part:
                print(f"    {e.name}: {e.code or 'completed'} in {e.seconds:.1f} s")
    two_faced = {file.name for file in made.polyglots()}
    run.faults += [fault for ended in run.completed() if ended.name in two_faced for fault in served_as(ended)]
    try:
        run.check(MEMORY + IDLE)
    except AssertionError as faults:
        print(faults)
        return 1
    finally:
        print(run.figures())
    print(f"passed: no crash, no file past {DEADLINE} s, no half variants, peak RSS at most {(MEMORY + IDLE) >> 20} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
