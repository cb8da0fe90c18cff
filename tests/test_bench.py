"""The measures that the benches judge by, held against other ways to the same figure."""
import sys

import numpy as np
from PIL import Image

from support.process import REPO

sys.path.insert(0, str(REPO))

from bench import lambda_model, pictures

NOISE = np.random.default_rng(3).uniform(0, 255, (61, 83, 3)).astype(np.float32)


def test_the_exact_thumbnail_is_pillows_in_floats():
    for size in [(20, 15), (83, 7), (40, 61), (83, 61)]:
        planes = [Image.fromarray(NOISE[..., c]).resize(size, Image.Resampling.LANCZOS) for c in range(3)]
        theirs = np.clip(np.stack([np.asarray(p) for p in planes], -1), 0, 255)
        assert np.abs(pictures.lanczos(NOISE, size) - theirs).max() < 0.001, size


def test_the_exact_blur_is_the_sum_it_stands_for():
    sigma, (y, x) = 2.3, (1, 80)  # near a corner, where the edges are extended
    down, across = np.mgrid[-30:31, -30:31]
    weights = np.exp(-(down**2 + across**2) / (2 * sigma**2))
    around = NOISE[np.clip(y + down, 0, 60), np.clip(x + across, 0, 82)].astype(np.float64)
    wanted = (around * weights[..., None]).sum((0, 1)) / weights.sum()
    assert np.abs(pictures.gaussian(NOISE, sigma)[y, x] - wanted).max() < 0.001


def test_a_large_blur_has_no_seams_between_its_blocks():
    wide = np.tile(NOISE[:20], (1, 8, 1))
    middle = pictures.gaussian(wide, 4)[:, 100:560]
    assert np.abs(middle[:, :-83] - middle[:, 83:]).max() < 0.001


def test_psnr_of_one_level_off_is_48_decibels():
    exact = np.full((1, 300, 20, 3), 100 * pictures.STEP, np.uint16)
    found = pictures.psnr([np.full((300, 20, 3), 101, np.uint8)], exact)
    assert found and abs(found["rgb"] - 48.13) < 0.01 and abs(found["luma"] - 48.13) < 0.01


def test_the_lambda_model_gives_the_seeds_prices_and_no_more_than_a_core():
    for mb, dollars in [(512, 0.0000000083), (1024, 0.0000000167), (2048, 0.0000000333), (4096, 0.0000000667)]:
        assert abs(lambda_model.price(mb, 1) / 1e6 - dollars) < 0.0000000001
    by_memory = {s.memory_mb: s for s in lambda_model.settings(100, 200)}
    assert (by_memory[128].fits, by_memory[256].fits) == (False, True)
    assert (by_memory[1769].ms, by_memory[4096].ms) == (100, 100) and by_memory[512].ms == 346
    assert lambda_model.cheapest(list(by_memory.values())).memory_mb == 1769
