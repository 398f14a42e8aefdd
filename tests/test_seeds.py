import numpy as np
import pytest
import torch
from scipy import stats

from hydrometer import seeds

# Known answers of the Random123 distribution (kat_vectors, philox4x32 10 rounds).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "secret", "expected"), KNOWN)
def test_philox_known_answers(counter, secret, expected):
    words = tuple(torch.tensor([v], dtype=torch.int64) for v in counter)
    result = seeds._philox(words, tuple(torch.tensor([v], dtype=torch.int64) for v in secret))
    assert tuple(int(v) for v in result) == expected


def test_a_draw_depends_only_on_its_key_step_and_position():
    whole = seeds.uniform([5, 9, 2**62], 0, 10, 33)
    part = seeds.uniform([9], 4, 3, 7)
    assert torch.equal(whole[1, 4:7, :7], part[0])
    assert torch.equal(whole[2], seeds.uniform([2**62], 0, 10, 33)[0])


def test_draws_are_uniform_and_unrelated_between_keys():
    draws = seeds.uniform([1, 2], 0, 50, 400).numpy().reshape(2, -1)
    assert stats.kstest(draws[0], "uniform").pvalue > 0.001
    assert abs(np.corrcoef(draws)[0, 1]) < 0.03
    assert 0 <= draws.min() < draws.max() < 1


def test_keys_differ_by_seed_and_purpose():
    assert len({seeds.key(s, p) for s in range(50) for p in ("order", "augment")}) == 100
