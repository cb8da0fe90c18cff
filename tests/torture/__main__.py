"""The long form. `tests/torture/run --help` tells the options."""
import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from .plan import Plan
from .trial import Servers, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/torture/run", description="Kills Tintype at random while clients upload, and looks what was lost.")
    parser.add_argument("--uploads", type=int, default=2000, help="accepted uploads of each run (default 2000)")
    parser.add_argument("--kills", type=int, default=300, help="kill -9 of each run (default 300)")
    parser.add_argument("--store", default="embedded,seaweedfs")
    parser.add_argument("--ledger", default="sqlite,postgres")
    parser.add_argument("--pace", type=float, default=1.0, help="mean seconds between a restart and the next kill (default 1)")
    parser.add_argument("--stop-max", type=float, default=70.0,
                        help="seconds that a process is stopped (SIGSTOP) at most, where there are several; 0: never (default 70)")
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run")
    args = parser.parse_args()
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    home = Path(tempfile.mkdtemp(prefix="tintype-torture-"))
    servers, lost = Servers(home), 0
    try:
        for store in args.store.split(","):
            for ledger in args.ledger.split(","):
                plan = Plan(store, ledger, args.uploads, args.kills, seed, pace=args.pace, stop_max=args.stop_max)
                print(f"{plan.name}: seed {seed}, logs in {home / plan.name}", flush=True)
                report = run(plan, servers, home, tell=lambda line: print(f"\r{line}", end="", file=sys.stderr, flush=True))
                print(f"\r{plan.name}: {report}", flush=True)
                for breach in report.breaches:
                    print(f"  LOST {breach}", flush=True)
                lost += len(report.breaches)
    finally:
        servers.stop()
    if not lost:
        shutil.rmtree(home)
    return bool(lost)


if __name__ == "__main__":
    sys.exit(main())
