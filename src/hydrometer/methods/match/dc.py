"""Dataset condensation: gradients of synthetic images made parallel to those of real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hydrometer.methods.match.gradients import class_gradients, row_cosine
from hydrometer.methods.match.images import Canvas, counts, is_small, student_for
from hydrometer.methods.match.networks import Network, flat, fresh
from hydrometer.methods.match.outer import Descent, Watch
from hydrometer.methods.match.pixels import Frame, Steps, learn
from hydrometer.methods.match.sampler import Sampler
from hydrometer.methods.match.siamese import Views
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec

_MOMENTUM = 0.5
_TRAIN_BATCH = 256
_SMALL = (5, 10)
_LOOPS = {1: (1, 1), 10: (10, 50), 50: (50, 10)}
"""Matches of one network and epochs between them, by the largest images per class they are for."""


@register("method")
def dc(
    source: Source,
    budget: Budget,
    *,
    iterations: int | None = None,
    outer: int | None = None,
    inner: int | None = None,
    lr: float = 0.1,
    lr_net: float = 0.01,
    batch: int = 256,
    augment: bool = False,
    start: str = "noise",
    student: str = "",
    width: int = 0,
    checks: int = 4,
    watch: Watch | None = None,
    rng: np.random.Generator,
) -> CompressedSet:
    """Match, class by class, the gradients that real and synthetic images give a network in training.

    Minimises E_θ0 Σ_t Σ_c D(∇ℓ(B_c; θ_t), ∇ℓ(S_c; θ_t)), D the sum over output units of one minus
    cosine, where θ_t is trained on the synthetic images between matches. Zhao, Mopuri and Bilen,
    "Dataset Condensation with Gradient Matching" (ICLR 2021, arXiv 2006.05929), equations 9 and 10;
    with `augment`, DSA (ICML 2021, arXiv 2102.08259), equation 5, registered as `dsa`.

    An iteration takes one new network through `outer` matches with `inner` epochs of SGD `lr_net`
    between two of them; None is the paper's choice by images per class (1: 1, 1; to 10: 10, 50; above:
    50, 10), or 5, 10 up to 16 pixels. `iterations` None is the paper's 1000, or 40 up to 16 pixels. The
    set is the best of `checks` iterates on `val` (0: the last). `watch` is called after every one.
    Deviations: gradients of all classes are taken at once; one step of the pixels follows.

    Raises:
        HydrometerError: An argument is out of range, the student is unknown or keeps running
            statistics, a class is too small for the budget, or the loss diverged.
    """
    outer, inner = _loops(source, budget, outer, inner)
    if iterations is None:
        iterations = 40 if is_small(source) else 1000
    matched = student_for(source, student, width)
    args: dict[str, Scalar] = {
        "iterations": iterations, "outer": outer, "inner": inner, "lr": lr, "lr_net": lr_net,
        "batch": batch, "augment": augment, "start": start, "checks": checks,
        **matched.args,
    }  # fmt: skip
    rhythm = _Rhythm(outer, inner, lr, lr_net, batch)

    def begin_steps(canvas: Canvas) -> Steps:
        matcher = _Matcher(
            source, canvas, matched.spec, rhythm, Views(augment, rng, canvas.lens.device)
        )
        return Steps(matcher.iterate, {"images": matcher.optimiser})

    frame = Frame("dc", args, iterations, checks, start, watch)
    return learn(source, budget, frame, begin_steps, rng)


@dataclass(frozen=True)
class _Rhythm:
    outer: int
    inner: int
    lr: float
    lr_net: float
    batch: int


class _Matcher:
    def __init__(
        self, source: Source, canvas: Canvas, spec: Spec, rhythm: _Rhythm, views: Views
    ) -> None:
        self.source, self.canvas, self.spec = source, canvas, spec
        self.rhythm, self.views, self.rng = rhythm, views, views.rng
        self.sampler = Sampler(source, canvas.lens, canvas.classes, views.rng)
        self.layout = canvas.layout()
        self.labels = canvas.class_labels()
        self.optimiser = Descent(canvas.images, rhythm.lr, _MOMENTUM)

    def iterate(self, _: int) -> float:
        """Take one new network along; the mean distance of its matches."""
        model = fresh(self.spec, self.source, self.rng, self.canvas.lens.device)
        network, weights = Network(model), flat(model)
        total = 0.0
        for match in range(self.rhythm.outer):
            total += self._match(network, weights)
            if match + 1 < self.rhythm.outer:
                weights = self._train(network, weights)
        return total / self.rhythm.outer

    def _match(self, network: Network, weights: Tensor) -> float:
        real, real_layout = self.sampler.draw(self.rhythm.batch)
        draws = self.views.draw(len(real))
        seen = self.views(real, draws)
        goal = class_gradients(network, weights, seen, self.labels, real_layout.share)
        made = class_gradients(
            network,
            weights,
            self.views(self.canvas.images[self.layout.rows], draws),
            self.labels,
            self.layout.share,
        )
        loss = row_cosine({name: g.detach() for name, g in goal.items()}, made)
        (self.canvas.images.grad,) = torch.autograd.grad(loss, self.canvas.images)
        self.optimiser.step()
        return float(loss.detach())

    def _train(self, network: Network, weights: Tensor) -> Tensor:
        """The network after some epochs on the synthetic images as they are now."""
        images, labels = self.canvas.images.detach(), self.canvas.labels
        for _ in range(self.rhythm.inner):
            order = torch.from_numpy(self.rng.permutation(len(labels))).to(labels.device)
            for rows in torch.split(order, _TRAIN_BATCH):
                view = self.views(images[rows][None], self.views.draw(1, len(rows)))[0]
                weights = weights.detach().requires_grad_()
                loss = F.cross_entropy(network(weights, view), labels[rows])
                (slope,) = torch.autograd.grad(loss, weights)
                weights = weights.detach() - self.rhythm.lr_net * slope
        return weights.detach()


def _loops(source: Source, budget: Budget, outer: int | None, inner: int | None) -> tuple[int, int]:
    most = max(counts(source, budget), default=0)
    sized = next((loops for ipc, loops in _LOOPS.items() if most <= ipc), _LOOPS[50])
    usual = _SMALL if is_small(source) else sized
    outer, inner = usual[0] if outer is None else outer, usual[1] if inner is None else inner
    if outer < 1 or inner < 0:
        raise HydrometerError(f"dc: outer={outer} must be 1 or more, inner={inner} 0 or more")
    return outer, inner
