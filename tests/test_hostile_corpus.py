"""Files made to harm, through the real server. This is the short form, a minute of it; all of it is `tests/hostile`."""
import os

import hostile_corpus as made
from support.hostile import Run, served_as

SEED = int(os.environ.get("HOSTILE_SEED", 5))
DEADLINE = 5
# What limits.memory is, and what a server that does nothing holds.
MEMORY, IDLE = 256 << 20, 150 << 20
ENV = {"TINTYPE_LIMITS__DEADLINE": f"{DEADLINE}s", "TINTYPE_LIMITS__MEMORY": str(MEMORY), "TINTYPE_LIMITS__MAX_PIXELS": "25000000"}


def test_hostile_files_end_in_variants_or_a_code(serve, say):
    server = serve(backend=None, env=ENV)
    run = Run(server, DEADLINE)
    run.feed(made.light())
    run.feed(made.truncations(9))
    run.feed(made.flips(600, SEED))
    run.feed(made.text_bombs(), clients=2)
    run.check(MEMORY + IDLE)
    say(f"seed {SEED}: {run.figures()}, of at most {(MEMORY + IDLE) >> 20}")
    assert len(run.ended) > 1000 and run.completed()


def test_polyglots_are_served_as_the_images_they_are(serve):
    server = serve(backend=None)
    run = Run(server, 30)
    run.feed(made.polyglots())
    run.check(500 << 20)
    assert len(run.completed()) >= 9
    assert [fault for ended in run.completed() for fault in served_as(ended)] == []
