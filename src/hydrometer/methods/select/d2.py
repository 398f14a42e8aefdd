"""D2: keep images that matter and whose neighbours are not yet kept, by messages on a graph."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.recording import record
from hydrometer.methods.select import named
from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.last_layer import errors
from hydrometer.methods.select.neighbours import nearest
from hydrometer.methods.select.observer import Seen, see
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec

OBSERVED = "observed"


@register("method")
def d2(
    source: Source,
    budget: Budget,
    *,
    prefer: str = "easy",
    score: str = OBSERVED,
    neighbours: int = 10,
    forward: float = 1.0,
    reverse: float = 1.0,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep, class by class, images of high score in dense, not yet covered parts of feature space.

    Direction: the original starts from difficulty, `prefer=hard`: hard images of dense regions first.
    The default is `easy`, which starts from sqrt(2) minus the difficulty, because hard-first fails at
    the budgets of compression. Difficulty is ||softmax - onehot|| of the observer's clean logits,
    or a `score` of a recorded run of ten epochs (aum, el2n, forgetting, loss): the policy "greedy"
    over such a score. Selections are nested; equal scores go by row number.

    Maharana, Yadav and Bansal, "D2 Pruning" (ICLR 2024). Deviations: squared
    distances are in units of the class's mean over the graph, so that `forward` and `reverse`, the
    gammas, do not depend on the scale of the features; the graph is the class's own; no mislabel
    cut-off. Public code has exp(-d) in the forward pass, where the paper and this have exp(-d^2).

    Raises:
        HydrometerError: `prefer` or `score` is unknown, `neighbours` is below 1, or a gamma is negative.
    """
    if prefer not in ("easy", "hard"):
        raise HydrometerError(f"prefer {prefer!r} is unknown; known: easy, hard")
    if neighbours < 1 or min(forward, reverse) < 0:
        raise HydrometerError(
            f"neighbours={neighbours}, forward={forward}, reverse={reverse}: "
            "give at least 1 neighbour and no negative gamma"
        )
    named.checked(score, OBSERVED)
    seen = see(source)
    worth, seconds = _worth(source, seen, score, prefer)

    def choose(members: Tensor, count: int) -> Tensor:
        squared, near = nearest(seen.features[members], neighbours)
        squared = squared / _mean(squared)
        return pass_messages(worth[members], squared, near, count, forward=forward, reverse=reverse)

    args: dict[str, Scalar] = {
        "prefer": prefer,
        "neighbours": neighbours,
        "forward": forward,
        "reverse": reverse,
    }
    args |= {} if score == OBSERVED else {"score": score}
    method = Spec("d2", tuple(sorted(args.items())))
    return greedy(source, budget, choose, method=method, seconds=seen.seconds + seconds)


def _worth(source: Source, seen: Seen, score: str, prefer: str) -> tuple[Tensor, float]:
    """How much each image is wanted before its neighbours speak (n,), and the seconds it took."""
    if score == OBSERVED:
        difficulty = errors(seen.logits, source.train.labels).norm(dim=1)
        return difficulty if prefer == "hard" else math.sqrt(2) - difficulty, 0.0
    recording = record(source)
    found = torch.from_numpy(named.difficulty(recording, score)).float()
    return found - found.min() if prefer == "hard" else found.max() - found, recording.seconds


def pass_messages(
    score: Tensor, squared: Tensor, near: Tensor, count: int, *, forward: float, reverse: float
) -> Tensor:
    """Positions (count,) in order of choice, the lowest on ties.

    Forward: s_i += sum_j exp(-forward d_ij^2) s_j over the neighbours `near` (n, k) at distances
    `squared` (n, k). Then the highest s is chosen and taken off its neighbours, s_j -=
    exp(-reverse d_ij^2) s_i, again and again.
    """
    score = score + ((-forward * squared).exp() * score[near]).sum(1)
    weight = (-reverse * squared).exp()
    order: list[int] = []
    for _ in range(count):
        best = int(score.argmax())
        order.append(best)
        score[near[best]] -= weight[best] * score[best]
        score[best] = -torch.inf
    return torch.tensor(order, dtype=torch.int64)


def _mean(squared: Tensor) -> Tensor:
    """Mean squared distance; of coincident points, or of none, a number that divides to zero."""
    return squared.mean().nan_to_num(1.0).clamp(min=torch.finfo(squared.dtype).tiny)
