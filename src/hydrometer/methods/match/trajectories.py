"""The frame of methods that match expert trajectories: MTT and DATM."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hydrometer.engine.data import Lens
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.methods.match import experts
from hydrometer.methods.match.experts import Expert
from hydrometer.methods.match.images import Canvas, Matched, finish
from hydrometer.methods.match.journal import Journal, Kept, Outcome, State
from hydrometer.methods.match.networks import Network, fresh
from hydrometer.methods.match.outer import Descent, Judge, Watch, refine
from hydrometer.methods.match.pixels import undertake
from hydrometer.methods.match.siamese import Views
from hydrometer.methods.match.window import Rollout, pick, refuse_bad_window
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec

_MOMENTUM = 0.5
_LABEL_MOMENTUM = 0.9
_SLOWEST = 1e-6
"""The learned rate stays above this; released code lets it cross zero and fail."""


@dataclass(frozen=True)
class Plan:
    """Every number of a trajectory method; rates are per step, epochs and starts count from zero.

    Windows of `span` epochs start at `min_start` up to an exclusive bound that grows from
    `first_bound` to `max_start` over the first `grown` iterations. `batch` 0 is all synthetic images.
    Iterations with a loss above `skip_above` change nothing. `flat` above 0 is the weight of GSAM in
    the experts' training; `ema` above 0 the decay of the average of the images that is the result.
    """

    experts: int
    epochs: int
    expert_lr: float
    expert_batch: int
    iterations: int
    steps: int
    span: int
    batch: int
    rate: float
    lr_images: float
    lr_rate: float
    max_start: int
    min_start: int = 0
    first_bound: int = 0
    grown: int = 0
    lr_labels: float = 0.0
    skip_above: float = float("inf")
    flat: float = 0.0
    ema: float = 0.0

    def asked(self, changes: Mapping[str, int | float | None]) -> Plan:
        """The plan with what a user gave; None leaves a number as it is."""
        given = {k: v for k, v in changes.items() if v is not None}
        return dataclasses.replace(self, **given)  # type: ignore[arg-type]

    def bound(self, iteration: int) -> int:
        """Exclusive upper end of the start epochs at an iteration."""
        if iteration >= self.grown:
            return self.max_start
        lowest = min(self.first_bound, self.max_start)
        return lowest + (self.max_start - lowest) * iteration // self.grown


@dataclass(frozen=True)
class Setting:
    """Where a trajectory method works: source, network, view, experts, and how they were asked for."""

    source: Source
    matched: Matched
    whiten: str
    lens: Lens
    plan: Plan
    experts: list[Expert]
    began: float

    @property
    def network(self) -> Network:
        """The experts' architecture; its own weights are never used."""
        return Network(fresh(self.matched.spec, self.source, np.random.default_rng(0), self.device))

    @property
    def device(self) -> torch.device:
        """Where everything is computed."""
        return self.lens.device

    @property
    def seconds(self) -> float:
        """Wall time so far, with the experts' training even where it came from the cache."""
        trained = sum(expert.card.seconds for expert in self.experts)
        return time.perf_counter() - self.began + trained


def prepare(source: Source, matched: Matched, whiten: str, plan: Plan, *, empty: bool) -> Setting:
    """Check the plan, and train or recall its experts; none for an `empty` set."""
    refuse_bad_window(plan.min_start, plan.max_start, plan.span, plan.epochs)
    refuse_bad_window(plan.min_start, plan.bound(0), plan.span, plan.epochs)
    if plan.steps < 1:
        raise HydrometerError(f"steps is {plan.steps}; give at least 1")
    if not 0 <= plan.ema < 1:
        raise HydrometerError(f"ema is {plan.ema}; give a decay from 0 to below 1, such as 0.999")
    view = Spec(whiten)
    lens = Lab(source, default_device()).lens(view)
    how = experts.recipe(
        matched.spec,
        epochs=plan.epochs,
        lr=plan.expert_lr,
        batch=plan.expert_batch,
        whiten=view,
        flat=plan.flat,
    )
    known = [] if empty else experts.obtain(source, lens, how, plan.experts)
    # The clock starts here: training experts is on their cards, and counts even if it was long ago.
    return Setting(source, matched, whiten, lens, plan, known, time.perf_counter())


def default_whitening(whiten: str | None, *, plain: bool) -> str:
    """ZCA as in the papers, or `plain` normalisation, unless one is named."""
    return whiten or ("normalise" if plain else "zca")


class Learner:
    """Learned images, learning rate and, where given, label logits (n, k)."""

    def __init__(
        self,
        setting: Setting,
        canvas: Canvas,
        logits: Tensor | None,
        *,
        truncated: bool,
        rng: np.random.Generator,
    ) -> None:
        plan, device = setting.plan, setting.device
        self.setting, self.plan, self.canvas, self.rng = setting, plan, canvas, rng
        self.logits = None if logits is None else logits.to(device).clone().requires_grad_()
        self.rate = torch.tensor(plan.rate, device=device, requires_grad=True)
        self.rollout = Rollout(
            setting.network, Views(True, rng, device), plan.steps, plan.batch, truncated
        )
        self.average = Average(canvas.images, plan.ema) if plan.ema else None
        self.optimisers = {
            "images": Descent(canvas.images, plan.lr_images, _MOMENTUM),
            "rate": Descent(self.rate, plan.lr_rate, _MOMENTUM),
        }
        if self.logits is not None:
            self.optimisers["labels"] = Descent(self.logits, plan.lr_labels, _LABEL_MOMENTUM)

    def step(self, iteration: int) -> float:
        """Match one window, and move what is learned unless the loss is above the limit."""
        plan = self.plan
        window = pick(
            self.setting.experts,
            plan.min_start,
            plan.bound(iteration),
            plan.span,
            self.rng,
            self.setting.device,
        )
        labels = self.canvas.labels if self.logits is None else self.logits
        found = self.rollout.match(window, self.canvas.images, labels, float(self.rate.detach()))
        loss = float(found.loss)
        if loss <= plan.skip_above:
            self.canvas.images.grad, self.rate.grad = found.images, found.rate
            if self.logits is not None:
                self.logits.grad = found.labels
            for optimiser in self.optimisers.values():
                optimiser.step()
            self.rate.data.clamp_(min=_SLOWEST)
            if self.average is not None:
                self.average.update()
        return loss

    def state(self) -> State:
        """What has been learned so far."""
        soft = None if self.logits is None else self.logits.detach().cpu().clone()
        seen = self.canvas
        if self.average is not None:
            seen = dataclasses.replace(seen, images=self.average.images)
        return State(seen.pixels(), soft, float(self.rate.detach()))

    @property
    def kept(self) -> dict[str, Kept]:
        """Everything that later steps need."""
        average: dict[str, Kept] = {} if self.average is None else {"average": self.average}
        return {**self.optimisers, **average}


class Average:
    """Exponential moving average of images as they are learned, from their start on.

    Du et al., "Minimizing the Accumulated Trajectory Error to Improve Dataset Distillation" (CVPR
    2023, arXiv 2211.11004), as its code has it, without a warm-up of the decay.
    """

    def __init__(self, images: Tensor, decay: float) -> None:
        self.live, self.decay = images, decay
        self.images = images.detach().clone()

    def update(self) -> None:
        """Move towards the images by 1 - decay."""
        self.images.lerp_(self.live.detach(), 1 - self.decay)

    def memory(self) -> dict[str, Tensor]:
        """The average."""
        return {"images": self.images}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Go on with this average."""
        self.images.copy_(memory["images"])


def learn(
    learner: Learner,
    budget: Budget,
    *,
    method: str,
    args: Mapping[str, Scalar],
    checks: int,
    watch: Watch | None,
) -> CompressedSet:
    """Run the iterations of the plan; an empty set is learned at once.

    The card carries the learned rate and every argument.
    """
    setting, canvas = learner.setting, learner.canvas
    every = {**args, **setting.matched.args, "whiten": setting.whiten}

    def pack(outcome: Outcome, earlier: float) -> CompressedSet:
        return finish(
            outcome.state.images,
            canvas.labels,
            source=setting.source,
            method=method,
            args=every,
            budget=budget,
            seconds=earlier + setting.seconds,
            notes=(*outcome.notes, f"learned in {setting.whiten} space, stored as pixels"),
            soft=outcome.state.soft,
            rate=outcome.state.rate if outcome.iteration else None,
        )

    if not len(canvas.labels):
        return pack(Outcome(learner.state(), 0, ()), 0.0)
    work = undertake(setting.source, canvas, method, every, pack, learner.rng)
    with Journal(work, learner.kept, learner.rng) as journal:
        return journal.packed(_refined(learner, checks, watch, journal))


def _refined(learner: Learner, checks: int, watch: Watch | None, journal: Journal) -> Outcome:
    setting, judge = learner.setting, None
    if len(setting.source.val):
        view = Spec(setting.whiten)
        judge = Judge(setting.source, setting.lens, learner.canvas.labels, view)
    return refine(
        learner.step,
        learner.state,
        judge,
        iterations=setting.plan.iterations,
        checks=checks,
        watch=watch,
        journal=journal,
    )


def largest_for(ipc: int, table: Mapping[int, Plan]) -> Plan:
    """The plan of the first entry that covers so many images per class, else of the last."""
    return next((plan for most, plan in table.items() if ipc <= most), list(table.values())[-1])
