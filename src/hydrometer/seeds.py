"""Random numbers as a pure function of (seed, purpose, step, position): Philox 4x32-10.

Counter-based draws make a student's randomness independent of everything around it: its device, the
cohort it trains in, the order of training, and how many steps are drawn at a time. Salmon, Moraes,
Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 3.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_MULTIPLY = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF
_ROUNDS = 10


def key(seed: int, purpose: str) -> int:
    """The 63-bit key of one stream of draws, such as `key(3, "augment")`."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8]) >> 1


def numpy_rng(seed: int, purpose: str) -> np.random.Generator:
    """A numpy generator for host-side draws, independent for each (seed, purpose)."""
    return np.random.default_rng(key(seed, purpose))


def torch_rng(seed: int, purpose: str) -> torch.Generator:
    """A CPU torch generator for initialisation, independent for each (seed, purpose)."""
    return torch.Generator().manual_seed(key(seed, purpose))


def uniform(
    keys: Sequence[int] | Tensor,
    first_step: int,
    steps: int,
    count: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Uniform draws in [0, 1), shape (len(keys), steps, count), float32, 24 random bits each.

    The value at [k, s, i] depends on `keys[k]`, `first_step + s` and `i` alone. Keys that are int64 on
    the device already spare the host a wait for their copy.
    """
    quads = -(-count // 4)
    lane = torch.arange(quads, dtype=torch.int64, device=device)
    step = torch.arange(first_step, first_step + steps, dtype=torch.int64, device=device)
    shape = (len(keys), steps, quads)
    secret = torch.as_tensor(keys, dtype=torch.int64, device=device)
    word = secret[:, None, None].expand(shape)
    counter = (
        lane.expand(shape),
        step[:, None].expand(shape) & _MASK,
        step[:, None].expand(shape) >> 32,
        torch.zeros(shape, dtype=torch.int64, device=device),
    )
    bits = torch.stack(_philox(counter, (word & _MASK, word >> 32)), dim=-1)
    return (bits.reshape(len(keys), steps, quads * 4)[..., :count] >> 8).float() * 2.0**-24


def _philox(counter: tuple[Tensor, ...], secret: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """One block of four 32-bit words (held in int64) per counter."""
    a, b, c, d = counter
    k0, k1 = secret
    for _ in range(_ROUNDS):
        high0, low0 = _wide_multiply(a, _MULTIPLY[0])
        high1, low1 = _wide_multiply(c, _MULTIPLY[1])
        a, b, c, d = high1 ^ b ^ k0, low1, high0 ^ d ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return a, b, c, d


def _wide_multiply(x: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a 32x32-bit product; int64 wraps, which leaves all 64 bits intact."""
    product = x * factor
    return (product >> 32) & _MASK, product & _MASK
