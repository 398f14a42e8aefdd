"""The training loop: a cohort of students, from first draw to last hit.

Every draw is a function of (seed, purpose, step, position), so nothing here depends on how many
students train together, in which order, or on which device.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from hydrometer import digest, seeds, students
from hydrometer.augment import Augmented, Pipeline, Turn
from hydrometer.augment.draws import permutation
from hydrometer.engine.data import Images, Lens, joined
from hydrometer.engine.environment import environment
from hydrometer.engine.objective import Target
from hydrometer.engine.program import Program, Solo, Stack
from hydrometer.engine.schedules import Progress, Schedule
from hydrometer.labels import Regime, Supplies, Teachers
from hydrometer.labels.shards import LabelBank
from hydrometer.losses import LossFn
from hydrometer.registry import build
from hydrometer.types import CompressedSet, Recipe, Run, Source, Spec, Trial

CHUNK = 64
"""Steps between two looks at the losses: draws are made, and divergence noticed, chunk by chunk."""
CURVE = 100
"""Points kept of a loss curve."""

OnStep = Callable[[int], None]
OnEpoch = Callable[[int, Program], None]
Alone = Callable[[nn.Module, Recipe, LossFn, torch.device], Program]
"""Makes the program of a student that trains by itself."""


@dataclass(frozen=True)
class Job:
    """A trial together with the set it names."""

    trial: Trial
    data: CompressedSet


@dataclass(frozen=True)
class Batch:
    """Rows (k, b) to train on at one step, seen as the draws of step `view` show them."""

    rows: Tensor
    progress: Progress
    closes_epoch: bool
    view: int


class Cohort:
    """Students of one recipe, up to rate and seed, on sets of one size.

    With a label bank they all see the views of the bank's seed, its epochs over and over.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        source: Source,
        lens: Lens,
        teachers: Teachers,
        bank: LabelBank | None = None,
        alone: Alone = Solo,
    ) -> None:
        self.jobs, self.source, self.lens, self.alone = list(jobs), source, lens, alone
        self.recipe: Recipe = jobs[0].trial.recipe
        self.device = lens.device
        self.size = len(jobs[0].data)
        self.seeds = [job.trial.seed for job in jobs]
        self.rates = [job.trial.recipe.lr for job in jobs]
        self.cycle = self.recipe.epochs if bank is None else bank.card.epochs
        self.viewers = self.seeds if bank is None else [bank.card.seed] * len(jobs)
        self.order_keys, self.draw_keys = self._keys("order"), self._keys("augment")
        self.pipeline = Pipeline(self.recipe.augment)
        self.turn_keys = {t.draw: self._keys(f"cycle/{t.draw}") for t in self.pipeline.turns}
        self.schedule: Schedule = build("schedule", self.recipe.schedule)
        self.sets = _distinct([job.data for job in jobs])
        self.images = [Images(data.images, lens) for data in self.sets]
        self._orders: tuple[int, Tensor] | None = None
        self._heads: tuple[int, Tensor] | None = None
        self.which = [next(i for i, s in enumerate(self.sets) if s is j.data) for j in jobs]
        self.pool = joined(self.images)
        self.offsets = torch.tensor([[i * self.size] for i in self.which], device=self.device)
        self.labels = torch.stack([job.data.labels.to(self.device) for job in jobs])
        self.weights = self._stacked([job.data.weights for job in jobs])
        soft = self._stacked([job.data.soft for job in jobs])
        if self.recipe.labels == "fixed":
            soft = torch.stack([self._labelled(i, teachers) for i in self.which])
        self.regime: Regime = build(
            "labels", Spec(self.recipe.labels), Supplies(soft, teachers, bank)
        )

    def program(self) -> Program:
        """Freshly initialised students, from their seeds alone."""
        loss = build("loss", self.recipe.loss)
        classes = len(self.source.classes)
        models = [
            students.create(
                self.recipe.student, self.source.shape, classes, seeds.key(seed, "initialise")
            )
            for seed in self.seeds
        ]
        if len(models) == 1:
            return self.alone(models[0], self.recipe, loss, self.device)
        return Stack(models, self.recipe, loss, self.device)

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """All steps from an epoch on, each epoch in an order of its own for each student."""
        for epoch in range(first, self.recipe.epochs):
            yield from self.epoch(epoch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The steps of one epoch."""
        parts = cuts(self.size, self.recipe.batch)
        total, seen = self.recipe.epochs * len(parts), epoch % self.cycle
        order = self._order(seen, max(1, CHUNK // len(parts)))
        for position, rows in enumerate(parts):
            step = epoch * len(parts) + position
            yield Batch(
                order[:, rows],
                Progress(epoch, self.recipe.epochs, step, total),
                position == len(parts) - 1,
                seen * len(parts) + position,
            )

    def _order(self, epoch: int, together: int) -> Tensor:
        """The order of an epoch (k, n), drawn with its neighbours: short epochs would mostly draw."""
        first = epoch - epoch % together
        if self._orders is None or self._orders[0] != first:
            u = seeds.uniform(self.order_keys, first, together, self.size, self.device)
            self._orders = first, permutation(u)
        return self._orders[1][:, epoch - first]

    def draws(self, first: int, steps: int) -> Tensor:
        """Augmentation draws of some steps, (k, steps, b, draws)."""
        per_image = self.pipeline.draws
        widest = min(self.size, self.recipe.batch)
        count = widest * per_image
        period = self.cycle * len(cuts(self.size, self.recipe.batch))
        parts, end = [], first + steps
        while first < end:
            start = first % period
            length = min(end - first, period - start)
            parts.append(seeds.uniform(self.draw_keys, start, length, count, self.device))
            first += length
        flat = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        return flat.view(*flat.shape[:2], widest, per_image)

    def view(self, batch: Batch, draws: Tensor) -> tuple[Tensor, Target]:
        """The augmented images of a batch, and what they are taught."""
        rows = batch.rows
        with record_function("data"):
            images = self._gather(rows)
        with record_function("augmentation"):
            turned = self._turned(batch, draws[:, : rows.shape[1]])
            seen: Augmented = self.pipeline(images, turned, self._first(batch, draws))
        labels = self.labels.gather(1, rows)
        with record_function("labels"):
            soft = self.regime.soft(rows, seen.images, batch.view)
        weight = None if self.weights is None else self.weights.gather(1, rows)
        if seen.partner is None:
            return seen.images, Target(labels, soft, weight=weight)
        other = rows.gather(1, seen.partner)
        other_soft = self.regime.soft(other, seen.images, batch.view) if self.regime.mixes else soft
        return seen.images, Target(
            labels, soft, self.labels.gather(1, other), other_soft, seen.share, weight
        )

    def _first(self, batch: Batch, draws: Tensor) -> Tensor | None:
        """The draws (k, draws) of each student's first sample on the host, where they decide for all.

        The host draws them itself, for many steps at once: reading the device's would wait for it.
        """
        if not self.pipeline.chooses:
            return None
        if draws.device.type == "cpu":
            return draws[:, 0]
        start = batch.view - batch.view % CHUNK
        if self._heads is None or self._heads[0] != start:
            keys = self._secrets("augment")
            self._heads = start, seeds.uniform(keys, start, CHUNK, self.pipeline.draws)
        return self._heads[1][:, batch.view - start]

    def _turned(self, batch: Batch, draws: Tensor) -> Tensor:
        """The draws, those that go through a cycle set to the value whose turn it is."""
        for turn in self.pipeline.turns:
            places = self._order_of(turn, batch.progress.epoch % self.cycle).gather(1, batch.rows)
            draws = draws.clone()
            draws[..., turn.draw] = (places + 0.5) / turn.length
        return draws

    def _order_of(self, turn: Turn, epoch: int) -> Tensor:
        """Which of `length` values every image of each student gets in an epoch, (k, n) int64."""
        keys = self.turn_keys[turn.draw]
        cycle, place = divmod(epoch, turn.length)
        u = seeds.uniform(keys, cycle, 1, self.size * turn.length, self.device)
        return permutation(u.view(len(keys), self.size, turn.length))[..., place]

    def rate(self, at: Progress) -> list[float]:
        """Every student's learning rate at a step."""
        factor = self.schedule(at)
        return [rate * factor for rate in self.rates]

    @torch.no_grad()
    def _labelled(self, which: int, teachers: Teachers) -> Tensor:
        """Mean teacher logits of a set's images as they are."""
        views = self.images[which].batches(256)
        return torch.cat([torch.stack([t(x).float() for t in teachers]).mean(0) for _, x in views])

    def _keys(self, purpose: str) -> Tensor:
        """Every student's key for a purpose, on the device: (k,) int64."""
        return torch.tensor(self._secrets(purpose), device=self.device)

    def _secrets(self, purpose: str) -> list[int]:
        """Every student's key for a purpose, on the host."""
        return [seeds.key(s, purpose) for s in self.viewers]

    def _gather(self, rows: Tensor) -> Tensor:
        if self.pool is not None:
            picked = self.pool[(rows + self.offsets).flatten()]
            return picked.view(*rows.shape, *picked.shape[1:])
        return torch.stack([self.images[i][rows[k]] for k, i in enumerate(self.which)])

    def _stacked(self, tensors: Sequence[Tensor | None]) -> Tensor | None:
        if any(t is None for t in tensors):
            return None
        return torch.stack([t.to(self.device) for t in tensors if t is not None])


def train(
    cohort: Cohort,
    on_step: OnStep = lambda steps: None,
    on_epoch: OnEpoch = lambda epoch, program: None,
    *,
    program: Program | None = None,
    first: int = 0,
) -> tuple[Program, Tensor]:
    """Train a cohort; returns its students and all losses (steps, k), non-finite where diverged.

    With a `program` as it was before epoch `first`, training goes on from there, with the same draws.

    A student that diverges goes on alone in its slot without touching the others; when all of them
    have diverged the run stops. `on_epoch` is called after the last step of every epoch.
    """
    program = program or cohort.program()
    history: list[Tensor] = []
    steps = cohort.batches(first)
    done = first * len(cuts(cohort.size, cohort.recipe.batch))
    with _drawing(seeds.key(cohort.seeds[0], "dropout"), cohort.device):
        while chunk := list(itertools.islice(steps, CHUNK)):
            draws = cohort.draws(done, len(chunk))
            losses = []
            for i, batch in enumerate(chunk):
                images, target = cohort.view(batch, draws[:, i])
                losses.append(program.step(images, target, cohort.rate(batch.progress)))
                on_step(1)
                if batch.closes_epoch:
                    on_epoch(batch.progress.epoch, program)
            history.append(torch.stack(losses))
            done += len(chunk)
            if not torch.isfinite(history[-1][-1]).any():
                break
    return program, torch.cat(history) if history else torch.zeros(0, len(cohort.jobs))


@contextmanager
def _drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, layers that draw do so from this seed; after it torch's generators are as before."""
    accelerators = range(torch.cuda.device_count()) if device.type == "cuda" else ()
    with torch.random.fork_rng(devices=list(accelerators)):
        # torch.manual_seed would also reseed accelerators that are not put back.
        seeded = torch.manual_seed if accelerators else torch.default_generator.manual_seed
        seeded(seed)
        yield


@torch.no_grad()
def hits(program: Program, images: Images, labels: Tensor, classes: int) -> Tensor:
    """Correct predictions per class (k, classes), one pass over the images."""
    device = images.images.device
    labels = labels.to(device)
    counts = torch.zeros(program.students, classes, dtype=torch.int64, device=device)
    size = exam_batch(images.images.shape[1:], program.students)
    for rows, batch in images.batches(size):
        with record_function("test"):
            right = program.logits(batch).argmax(-1) == labels[rows]
        counts.scatter_add_(1, labels[rows].expand(right.shape), right.long())
    return counts.cpu()


def exam_batch(shape: Sequence[int], students: int) -> int:
    """Images that students are asked about at once: not more than a cohort trains on at once."""
    pixels = shape[-1] * shape[-2]
    return max(16, min(2**18, 2**23 // students) // pixels)


def sane(program: Program, images: Images) -> Tensor:
    """Whether each student's logits are finite (k,): the last update can diverge unseen by a loss."""
    _, batch = next(images.batches(16))
    return torch.isfinite(program.logits(batch)).flatten(1).all(1)


def run(
    jobs: Sequence[Job],
    source: Source,
    lens: Lens,
    exams: Callable[[], tuple[Images, Images]],
    teachers: Teachers = (),
    on_step: OnStep = lambda steps: None,
    bank: LabelBank | None = None,
    alone: Alone = Solo,
) -> list[Run]:
    """Train a cohort and read `val` and `test` once for each student, after its last step."""
    start = time.perf_counter()
    cohort = Cohort(jobs, source, lens, teachers, bank, alone)
    program, losses = train(cohort, on_step)
    on_val, on_test = exams()
    losses = losses.cpu()
    trained = torch.isfinite(losses)
    trained[-1:] &= sane(program, on_val).cpu()
    classes = len(source.classes)
    val = hits(program, on_val, source.val.labels, classes)
    test = hits(program, on_test, source.test.labels, classes)
    seconds = (time.perf_counter() - start) / len(jobs)
    totals = [
        tuple(torch.bincount(s.labels, minlength=classes).tolist())
        for s in (source.val, source.test)
    ]
    return [
        _row(job, k, trained[:, k], losses[:, k], val[k], test[k], totals, seconds, lens.device)
        for k, job in enumerate(jobs)
    ]


def _row(
    job: Job,
    k: int,
    finite: Tensor,
    losses: Tensor,
    val: Tensor,
    test: Tensor,
    totals: list[tuple[int, ...]],
    seconds: float,
    device: torch.device,
) -> Run:
    diverged = None if finite.all() else int((~finite).nonzero()[0])
    curve = losses[: len(losses) if diverged is None else diverged]
    none = (0,) * len(totals[0])
    return Run(
        key=digest.of_trial(job.trial),
        set_digest=job.trial.set_digest,
        source_digest=job.trial.source_digest,
        recipe_digest=digest.of(job.trial.recipe),
        recipe=digest.canonical(job.trial.recipe),
        seed=job.trial.seed,
        status="done" if diverged is None else "diverged",
        diverged_step=diverged,
        val_hits=tuple(val.tolist()) if diverged is None else none,
        val_totals=totals[0],
        test_hits=tuple(test.tolist()) if diverged is None else none,
        test_totals=totals[1],
        source=job.data.card.source,
        method=job.data.card.method,
        budget=job.data.card.budget,
        losses=tuple(float(part.mean()) for part in curve.tensor_split(CURVE) if len(part)),
        steps=len(losses),
        seconds=seconds,
        environment=environment(device),
    )


def cuts(size: int, batch: int) -> list[slice]:
    """Batches of an epoch; a last one of a single image is left out, as batch norm cannot take it."""
    parts = [slice(start, min(start + batch, size)) for start in range(0, size, batch)]
    return parts[:-1] if len(parts) > 1 and parts[-1].stop - parts[-1].start == 1 else parts


def _distinct(sets: Sequence[CompressedSet]) -> list[CompressedSet]:
    kept: list[CompressedSet] = []
    for data in sets:
        if not any(data is other for other in kept):
            kept.append(data)
    return kept
