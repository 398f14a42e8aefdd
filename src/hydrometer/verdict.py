"""From a set and a protocol to a verdict: plan trials, train what is missing, reduce to estimates."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hydrometer import digest, metrics, students
from hydrometer.artifact.container import align
from hydrometer.artifact.overlap import same_images
from hydrometer.artifact.rows import whole
from hydrometer.engine.loop import Job
from hydrometer.engine.teachers import TeacherCard, known
from hydrometer.execute import Executor, Observer, Silent, manner, pace
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute, steps_of
from hydrometer.labels.shards import BankCard, LabelBank
from hydrometer.protocols import Case, Protocol, full_recipe
from hydrometer.stats import bootstrap
from hydrometer.store import Store
from hydrometer.types import (
    Arm,
    ArmResult,
    CompressedSet,
    Cost,
    HydrometerError,
    Recipe,
    Run,
    Source,
    Trial,
    Verdict,
)


@dataclass(frozen=True)
class Plan:
    """Everything one verdict trains."""

    protocol: Protocol
    subject: CompressedSet
    source: Source
    arms: tuple[Arm, ...]
    jobs: tuple[Job, ...]
    teacher: Job | None = None
    """The teacher that arms learn from, where there is one."""


def plan(subject: CompressedSet, protocol: Protocol, lab: Lab) -> Plan:
    """The trials of a verdict; checks the set against the source, and trains nothing."""
    subject = align(subject, lab.source)
    if not len(subject):
        raise HydrometerError(f"the set by {subject.card.method} holds no images to train on")
    teacher = teacher_job(protocol, lab.source) if protocol.settings.teacher else None
    names = () if teacher is None else (digest.of_trial(teacher.trial),)
    arms = tuple(protocol.arms(Case(subject, lab.source, names)))
    if (bank := lab.bank(protocol.settings.bank)) is not None:
        arms = banked(arms, bank, subject, lab.source)
    taught = any(arm.recipe.teacher for arm in arms)
    jobs = tuple(job for arm in arms for job in jobs_of(arm, lab.source))
    return Plan(protocol, subject, lab.source, arms, jobs, teacher if taught else None)


def banked(
    arms: tuple[Arm, ...], bank: LabelBank, subject: CompressedSet, source: Source
) -> tuple[Arm, ...]:
    """The arms, those of the subject with a teacher's labels now with the bank's.

    Raises:
        HydrometerError: The bank belongs to another set, recipe or teacher, or no arm has use for it.
    """
    found = tuple(
        dataclasses.replace(arm, recipe=_from_bank(arm.recipe, bank, subject, source))
        if arm.recipe.teacher and all(data is subject for data in arm.sets)
        else arm
        for arm in arms
    )
    if all(arm.recipe.bank is None for arm in found):
        raise HydrometerError(
            f"bank {bank.folder} is of no use: no teacher labels views of the set in this protocol"
        )
    return found


def _from_bank(recipe: Recipe, bank: LabelBank, subject: CompressedSet, source: Source) -> Recipe:
    bank.check(subject.digest, source, recipe)
    if bank.card.teachers != recipe.teacher or bank.card.labels != recipe.labels:
        raise HydrometerError(
            f"bank {bank.folder} holds labels of teacher {', '.join(bank.card.teachers)} "
            f"({bank.card.labels}), the protocol's are of {', '.join(recipe.teacher)} "
            f"({recipe.labels}); write a bank for it with `hydrometer relabel`"
        )
    if bank.card.top is not None and recipe.loss.name == "mse-gt":
        raise HydrometerError(
            f"loss mse-gt compares all logits, and bank {bank.folder} keeps {bank.card.top} of "
            "each view; write one without --top"
        )
    return dataclasses.replace(recipe, labels="bank", teacher=(), bank=bank.contents.digest)


def teacher_job(protocol: Protocol, source: Source) -> Job:
    """The training of the protocol's teacher on this source; its digest is its trial's key."""
    if protocol.settings.teacher is None:
        raise ValueError(f"protocol {protocol.name} has no teacher")
    recipe = full_recipe(protocol.settings, protocol.settings.teacher, source)
    data = whole(source)
    return Job(Trial(data.digest, source.digest, recipe, seed=0), data)


def relabelled(
    subject: CompressedSet, protocol: Protocol, lab: Lab, observer: Observer | None = None
) -> tuple[CompressedSet, Recipe]:
    """The subject as a protocol trains it, and the recipe whose teacher labels its views.

    The teacher is trained now unless it is cached.

    Raises:
        HydrometerError: No teacher labels views of the set in this protocol.
    """
    planned = plan(subject, protocol, lab)
    own = [arm for arm in planned.arms if arm.name.startswith("subject") and arm.recipe.teacher]
    if not own or planned.teacher is None:
        raise HydrometerError(
            f"protocol {protocol.name} labels no view of the set with a teacher; "
            "choose one that does, such as rd3@1"
        )
    _teach(planned.teacher, lab, observer or Silent())
    return planned.subject, own[0].recipe


def teacher_for(protocol: Protocol, lab: Lab, observer: Observer) -> str:
    """The digest of the protocol's teacher for this source, trained now unless it is cached."""
    return _teach(teacher_job(protocol, lab.source), lab, observer).digest


def teach(planned: Plan, lab: Lab, store: Store, observer: Observer) -> None:
    """Train the teacher of a plan, or find it in the cache, if students are left that learn from it."""
    if planned.teacher is not None and progress(planned, store)[1]:
        _teach(planned.teacher, lab, observer)


def tune(
    planned: Plan, lab: Lab, store: Store, observer: Observer, execute: Executor = execute
) -> None:
    """Have what is left of a plan trained as measures fastest here, if there is much of it."""
    left = _with_teacher(planned, progress(planned, store)[1])
    pace.tune(left, lab, observer, manner(execute))


def progress(planned: Plan, store: Store) -> tuple[int, list[Job]]:
    """How many students of a plan are stored, and those that are left."""
    keyed = {digest.of_trial(job.trial): job for job in planned.jobs}
    done = store.get_many(keyed)
    return len(done), [job for key, job in keyed.items() if key not in done]


def _with_teacher(planned: Plan, left: list[Job]) -> list[Job]:
    """Students that are left, and their teacher where it is not there yet."""
    teacher = planned.teacher
    if not left or teacher is None or known(digest.of_trial(teacher.trial)):
        return left
    return [*left, teacher]


def _teach(job: Job, lab: Lab, observer: Observer) -> TeacherCard:
    observer.begin(steps_of(job), 1)
    card = lab.teach(job.trial, job.data, observer.stepped).card
    observer.say(f"teacher {job.trial.recipe.student}: {card.val_accuracy:.1%} on val")
    return card


def jobs_of(arm: Arm, source: Source) -> list[Job]:
    """One job per seed and rate, a seed's rates together."""
    return [
        Job(Trial(data.digest, source.digest, dataclasses.replace(arm.recipe, lr=rate), seed), data)
        for position, seed in enumerate(arm.seeds)
        for data in [arm.set_for(position)]
        for rate in arm.rates
    ]


def cost(planned: Plan, lab: Lab, store: Store, execute: Executor = execute) -> Cost:
    """What remains to be trained, and how long an executor will take by a few measured steps.

    A student whose labels a teacher gives is timed with it, trained or not.
    """
    done, students = progress(planned, store)
    left = _with_teacher(planned, students)
    lab.recall_choices()
    seconds = pace.wall(students, lab, manner(execute), left[len(students) :])
    return Cost(done + len(left), done, sum(map(steps_of, left)), seconds)


def evaluate(
    planned: Plan,
    lab: Lab,
    store: Store,
    observer: Observer | None = None,
    execute: Executor = execute,
) -> Verdict:
    """Train what the store does not hold yet, choose rates on `val`, and estimate every metric."""
    watcher = observer or Silent()
    tune(planned, lab, store, watcher, execute)
    teach(planned, lab, store, watcher)
    runs = execute(planned.jobs, lab, store, watcher)
    results = {arm.name: result(arm, lab.source, runs) for arm in planned.arms}
    estimates = {name: metrics.estimate(name, results) for name in _metrics(planned, lab)} | {
        f"accuracy:{name}": metrics.estimate("accuracy", {"subject": r})
        for name, r in results.items()
    }
    bank = lab.bank(planned.protocol.settings.bank)
    verdict = Verdict(
        protocol=planned.protocol.name,
        set_digest=planned.subject.digest,
        source=lab.source.name,
        source_digest=lab.source.digest,
        card=planned.subject.card,
        arms=tuple(results.values()),
        estimates=estimates,
        notices=(*notices(planned, results), *_of_bank(planned, lab)),
        steps=sum(run.steps for run in runs.values()),
        seconds=sum(run.seconds for run in runs.values()),
        teacher_bytes=teacher_bytes(planned.protocol, lab.source) if planned.teacher else 0,
        bank_bytes=0 if bank is None else bank.bytes,
        environment=lab.environment(planned.jobs),
    )
    store.add_verdict(verdict)
    watcher.judged(verdict)
    return verdict


def _metrics(planned: Plan, lab: Lab) -> list[str]:
    """The protocol's metrics; a bank that keeps not all labels leaves only what compares no images."""
    bank = lab.bank(planned.protocol.settings.bank)
    fair = bank is None or _used(bank, planned).complete
    return [name for name in planned.protocol.metrics if fair or name == "accuracy"]


def result(arm: Arm, source: Source, runs: Mapping[str, Run]) -> ArmResult:
    """An arm's students at the rate with the highest mean `val` accuracy; ties go to the lower rate."""
    grid = [runs[digest.of_trial(job.trial)] for job in jobs_of(arm, source)]
    return reached(arm.name, tuple(data.digest for data in arm.sets), arm.seeds, grid)


def reached(
    name: str, sets: tuple[str, ...], seeds: tuple[int, ...], grid: Sequence[Run]
) -> ArmResult:
    """The result of an arm from its runs alone: seed by seed, the rates of each from low to high."""
    rates = len(grid) // len(seeds)
    table = np.array([run.val_accuracy for run in grid]).reshape(len(seeds), rates)
    chosen = grid[int(table.mean(0).argmax()) :: rates]
    return ArmResult(
        name=name,
        set_digest=sets,
        recipe_digest=chosen[0].recipe_digest,
        lr=json.loads(chosen[0].recipe)["lr"],
        seeds=seeds,
        accuracy=tuple(run.test_accuracy for run in chosen),
        val_accuracy=tuple(run.val_accuracy for run in chosen),
        diverged=sum(run.status == "diverged" for run in chosen),
        runs=tuple(run.key for run in grid),
    )


def notices(planned: Plan, results: Mapping[str, ArmResult]) -> list[str]:
    """What a reader must know to judge the numbers."""
    said = [*_doubts(planned.subject, planned.source)]
    for n in sorted({len(r.seeds) for r in results.values()}):
        if note := bootstrap.notice(n):
            said.append(note)
    for arm in planned.arms:
        found = results[arm.name]
        if found.diverged:
            said.append(
                f"{found.diverged} of {len(found.seeds)} students of arm {arm.name} diverged "
                f"at rate {found.lr:g} and count with accuracy 0"
            )
        if len(arm.rates) > 2 and found.lr in (min(arm.rates), max(arm.rates)):
            said.append(
                f"arm {arm.name}: the best rate on val, {found.lr:g}, is at the edge of the grid"
            )
    return said


def _of_bank(planned: Plan, lab: Lab) -> list[str]:
    """What a label bank means for the numbers."""
    bank = lab.bank(planned.protocol.settings.bank)
    if bank is None:
        return []
    card = _used(bank, planned)
    unlike = "" if card.complete else ", so that no gain over them is scored"
    return [
        f"the set's labels come from a bank ({card.form}, {bank.bytes} bytes); its students share the "
        f"views of seed {card.seed} and differ in initialisation alone; random images have a teacher "
        f"for every view{unlike}"
    ]


def _used(bank: LabelBank, planned: Plan) -> BankCard:
    """The bank's card as these students use it, who may train longer than those it was written for."""
    epochs = max(arm.recipe.epochs for arm in planned.arms if arm.recipe.bank is not None)
    return bank.card.model_copy(update={"of_epochs": max(bank.card.epochs, epochs)})


def _doubts(subject: CompressedSet, source: Source) -> list[str]:
    """Why the set's own numbers may be too good, or not its own."""
    said = []
    if subject.card.source_digest != source.digest:
        made = subject.card.source
        said.append(f"the set was made from another copy or version of its source ({made})")
    for name, split in (("val", source.val), ("test", source.test)):
        if shared := same_images(subject.images, split.images):
            said.append(f"{shared} of the set's {len(subject)} images are images of {name}")
    return said


def teacher_bytes(protocol: Protocol, source: Source) -> int:
    """What the protocol's own teacher takes to store, trained or not; nothing where it has none."""
    if protocol.settings.teacher is None:
        return 0
    student = full_recipe(protocol.settings, protocol.settings.teacher, source).student
    model = students.create(student, source.shape, len(source.classes), 0)
    return sum(v.numel() * v.element_size() for v in model.state_dict().values())
