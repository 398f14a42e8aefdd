"""Train cohorts on the workers of a Ray cluster (extra `hydrometer[ray]`).

This process alone plans, claims, and writes the store; workers are handed a cohort and hand back its
runs. What is large (source, sets, teachers) is put into Ray's object store once and mapped by all
workers of a machine. Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications"
(OSDI 2018).
"""

from __future__ import annotations

import os
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hydrometer.engine import teachers
from hydrometer.engine.loop import Job
from hydrometer.execute import Executor, Manner, Observer, Silent
from hydrometer.execute.claims import Claims
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import complete, grouped, steps_of, train
from hydrometer.execute.worker import Parcels, Setting, Worker, setting, travels, unpacked
from hydrometer.registry import register
from hydrometer.store import Store
from hydrometer.types import Card, CompressedSet, HydrometerError, Run, Source, Trial

RETRIES = 3
"""How often a cohort is given to another worker when its worker dies."""
POLL_SECONDS = 0.5
"""How often progress is looked at while no cohort ends."""
TELL_SECONDS = 1.0
"""How often a worker tells how far it is."""
QUEUED = 2
"""Cohorts given out for each that can run, so that a worker that ends one finds the next."""


@register("executor")
@contextmanager
def ray(place: str) -> Iterator[Executor]:
    """The workers of a Ray cluster: `ray` alone starts one here, `ray:N` one of N processors.

    `ray:auto` and `ray:HOST:PORT` join a cluster from one of its machines, `ray://HOST:PORT` from
    outside. `ray` alone joins the one that RAY_ADDRESS names, if it is set.
    """
    library = _library()
    joined = not library.is_initialized()
    if joined:
        _join(library, place)
    try:
        yield Cluster(library)
    finally:
        if joined:
            library.shutdown()


def _library() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # on a busy machine 30 do not do
    try:
        import ray as library
    except ImportError:
        raise HydrometerError(
            "--on ray needs ray; install it with: pip install hydrometer[ray]"
        ) from None
    return library


def _join(library: Any, place: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if place.isdigit():
        where = {"address": "local", "num_cpus": int(place), "include_dashboard": False}
    elif place or os.environ.get("RAY_ADDRESS"):
        # The colon of ray://HOST:PORT was read as the one before a place.
        address = f"ray:{place}" if place.startswith("//") else place
        where = {"address": address or os.environ["RAY_ADDRESS"]}
    else:
        where = {"address": "local", "include_dashboard": False}
    try:
        library.init(**where, **quiet)
    except Exception as error:  # Ray raises a bare one when its processes are slow to start
        said = str(error).strip().partition("\n")[0]
        raise HydrometerError(
            f"cannot join the Ray cluster {place or 'on this machine'} ({said}); see docs/clusters.md"
        ) from error


@dataclass(eq=False)
class Cohort:
    """Jobs that train as one program, and how often a worker has died over them."""

    jobs: dict[str, Job]
    deaths: int = 0
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def steps(self) -> int:
        """Optimiser steps of all its students."""
        return sum(map(steps_of, self.jobs.values()))


class Meter:
    """Where workers tell how far they are, as an actor of its own: they must not wait for the driver."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}

    def tell(self, cohort: str, steps: int) -> None:
        """Student-steps taken of a cohort so far."""
        self.steps[cohort] = steps

    def read(self) -> dict[str, int]:
        """Student-steps by cohort."""
        return self.steps

    def forget(self, cohort: str) -> None:
        """Drop a cohort that has ended."""
        self.steps.pop(cohort, None)


class Cluster:
    """An executor over the cluster that this process has joined.

    A cohort whose worker dies is given to another, up to `retries` times. One that fails is left out
    and the rest goes on; the error at the end says which and why. It is not tried again by this
    executor, since the verdicts of a plan share students.
    """

    def __init__(self, library: Any, retries: int = RETRIES) -> None:
        self.ray, self.retries = library, retries
        library.util.register_serializer(Tensor, serializer=_array, deserializer=_tensor)
        self.meter = library.remote(num_cpus=0, max_restarts=-1)(Meter).remote()
        self.failed: dict[str, str] = {}
        self._source: tuple[str, Any] = ("", None)

    def __call__(
        self, jobs: Sequence[Job], lab: Lab, store: Store, observer: Observer
    ) -> dict[str, Run]:
        """Runs by key for all jobs: from the store where they are there, else trained on the cluster.

        Raises:
            HydrometerError: No machine of the cluster can hold a cohort; or some cohorts failed, when
                all others are in the store.
        """

        def attempt(pending: dict[str, Job]) -> bool:
            return _Attempt(self, lab, store, observer).run(pending)

        return complete(jobs, store, observer, attempt)

    def device(self) -> torch.device:
        """What the cluster trains on: its accelerators if it has any."""
        return torch.device("cuda" if self.ray.cluster_resources().get("GPU") else "cpu")

    @property
    def manner(self) -> Manner:
        """As many cohorts side by side as there is room for now, on the threads of this process."""
        threads = torch.get_num_threads()
        return Manner(threads, self.slots(self.device().type, threads))

    def slots(self, device: str, threads: int) -> int:
        """How many cohorts can run at once."""
        has = self.ray.cluster_resources()
        count = has.get("GPU", 0) if device == "cuda" else has.get("CPU", 0) // threads
        return max(1, int(count))

    def needs(self, wanted: Setting) -> dict[str, int]:
        """The resources of one cohort; refused if no machine has them."""
        if wanted.device == "cuda":
            return {"num_gpus": 1, "num_cpus": 1}
        most = max(n["Resources"].get("CPU", 0) for n in self.ray.nodes() if n["Alive"])
        if most < wanted.threads:
            raise HydrometerError(
                f"students here train on {wanted.threads} threads each and no machine of the cluster "
                f"has more than {most:g} processors; set OMP_NUM_THREADS to {most:g} or less"
            )
        return {"num_cpus": wanted.threads}

    def source(self, source: Source) -> Any:
        """The last source's reference, put when first asked for; none if workers must open it."""
        if not travels(source):
            return None
        if self._source[0] != source.digest:
            self._source = (source.digest, self.ray.put(source))
        return self._source[1]


class _Attempt:
    """One pass over what the store does not hold."""

    def __init__(self, cluster: Cluster, lab: Lab, store: Store, observer: Observer) -> None:
        self.cluster, self.lab, self.store, self.observer = cluster, lab, store, observer
        self.claims = Claims(store)
        self.setting = setting(lab, str(cluster.device()))
        self.progress = _Progress(cluster, observer)
        self.running: dict[Any, Cohort] = {}
        self.parcels = Parcels(lab.source)
        self._shipped: dict[str, Any] = {}

    def run(self, pending: dict[str, Job]) -> bool:
        """Train all that can be claimed; false if all of it is someone else's."""
        slots = self._slots()
        fresh = {key: job for key, job in pending.items() if key not in self.cluster.failed}
        made = grouped(fresh, self.lab.source, torch.device(self.setting.device), slots)
        queue, worked = deque(map(Cohort, made)), False
        needs = self.cluster.needs(self.setting)
        try:
            while queue or self.running:
                while queue and len(self.running) < QUEUED * slots:
                    worked |= self._give(queue.popleft(), needs)
                if self.running:
                    queue.extend(self._take())
                slots = self._slots()
        finally:
            for task in self.running:
                self.cluster.ray.cancel(task, force=True)
            self.claims.release()
        self._complain(pending)
        return worked

    def _slots(self) -> int:
        return self.cluster.slots(self.setting.device, self.setting.threads)

    def _give(self, cohort: Cohort, needs: dict[str, int]) -> bool:
        """Hand out what can be claimed of a cohort; false if nothing can."""
        cohort.jobs = {key: cohort.jobs[key] for key in self.claims.take(cohort.jobs)}
        if not cohort.jobs:
            return False
        jobs = list(cohort.jobs.values())
        names = {name for job in jobs for name in job.trial.recipe.teacher}
        work = self.cluster.ray.remote(**needs, max_retries=0, scheduling_strategy="SPREAD")(
            work_on
        )
        task = work.remote(
            self.setting,
            [self.cluster.source(self.lab.source)],
            {name: self._ship(name, partial(teachers.packed, name)) for name in names},
            (cohort.name, self.cluster.meter),
            [job.trial for job in jobs],
            *[self._sent(job.data) for job in jobs],
        )
        self.running[task] = cohort
        return True

    def _take(self) -> list[Cohort]:
        """Wait for cohorts to end, and store their runs; those whose worker died come back."""
        ready, _ = self.cluster.ray.wait(list(self.running), timeout=POLL_SECONDS)
        again = [c for task in ready if not self._ended(task, c := self.running.pop(task))]
        self.claims.renew()
        self.progress.show()
        return again

    def _ended(self, task: Any, cohort: Cohort) -> bool:
        """Store the runs of a cohort or note why there are none; false if it is to be tried again."""
        errors = self.cluster.ray.exceptions
        try:
            runs: list[Run] = self.cluster.ray.get(task)
        except errors.RayTaskError as error:
            return self._fail(cohort, error.cause)
        except errors.RayError as error:
            cohort.deaths += 1
            self.observer.say(
                f"a worker died ({type(error).__name__}, {cohort.deaths} of this cohort)"
            )
            self.claims.release(cohort.jobs)
            return cohort.deaths > self.cluster.retries and self._fail(cohort, error)
        for run in runs:
            self.store.add(run)
            self.observer.finished(run)
        self.progress.done(cohort)
        self.claims.release(cohort.jobs)
        return True

    def _fail(self, cohort: Cohort, error: BaseException) -> bool:
        said = str(error).strip().partition("\n")[0]
        reason = said if isinstance(error, HydrometerError) else f"{type(error).__name__}: {said}"
        self.cluster.failed |= dict.fromkeys(cohort.jobs, reason)
        self.claims.release(cohort.jobs)
        return True

    def _complain(self, asked: dict[str, Job]) -> None:
        """Say what failed, now that all else is stored."""
        failed = [key for key in asked if key in self.cluster.failed]
        if failed:
            first = asked[failed[0]].trial
            raise HydrometerError(
                f"{len(failed)} of {len(asked)} students failed on the cluster, the first "
                f"({first.recipe.student}, seed {first.seed}) with: {self.cluster.failed[failed[0]]}; "
                "the others are stored, the same command tries these again"
            )

    def _sent(self, data: CompressedSet) -> Any:
        """A set on its way."""
        return data.card if self.parcels.light(data) else self._ship(str(id(data)), lambda: data)

    def _ship(self, name: str, make: Callable[[], object]) -> Any:
        """A reference to something large, put into the object store when first asked for."""
        if name not in self._shipped:
            self._shipped[name] = self.cluster.ray.put(make())
        return self._shipped[name]


class _Progress:
    """Shows what the meter reads, without ever waiting for it."""

    def __init__(self, cluster: Cluster, observer: Observer) -> None:
        self.cluster, self.observer = cluster, observer
        self.steps: dict[str, int] = {}
        self.complete: dict[str, int] = {}
        self.shown = 0
        self._asked = cluster.meter.read.remote()

    def done(self, cohort: Cohort) -> None:
        """A cohort has taken all its steps, whatever the meter says."""
        self.complete[cohort.name] = cohort.steps
        self.cluster.meter.forget.remote(cohort.name)

    def show(self) -> None:
        """Tell the observer how far all cohorts are, if that has changed."""
        if self.cluster.ray.wait([self._asked], timeout=0)[0]:
            with suppress(self.cluster.ray.exceptions.RayError):  # the meter's process may die too
                self.steps = self.cluster.ray.get(self._asked)
            self._asked = self.cluster.meter.read.remote()
        now = sum((self.steps | self.complete).values())
        if now != self.shown:
            self.observer.stepped(now - self.shown)
            self.shown = now


_HERE = Worker()
"""Of the process that this module is imported in, which may be a worker's."""


def work_on(
    wanted: Setting,
    source: list[Any],
    taught: dict[str, Any],
    report: tuple[str, Any],
    trials: list[Trial],
    *sets: CompressedSet | Card,
) -> list[Run]:
    """Train a cohort on a worker; references inside containers are fetched only where needed."""
    library = _library()
    _HERE.learn({name: partial(library.get, content) for name, content in taught.items()})
    lab = _HERE.prepare(wanted, lambda: source[0] and library.get(source[0]))
    jobs = [unpacked(trial, data, lab) for trial, data in zip(trials, sets, strict=True)]
    return list(train(jobs, lab, Silent(), _Teller(*report, len(jobs))))


class _Teller:
    """Counts the steps of a cohort and passes them on now and then."""

    def __init__(self, cohort: str, meter: Any, students: int) -> None:
        self.cohort, self.meter, self.students = cohort, meter, students
        self.steps, self.told = 0, time.monotonic()

    def __call__(self, steps: int) -> None:
        self.steps += steps * self.students
        if time.monotonic() - self.told > TELL_SECONDS:
            self.told = time.monotonic()
            self.meter.tell.remote(self.cohort, self.steps)


def _array(tensor: Tensor) -> np.ndarray:
    """A tensor as Ray maps it without a copy."""
    return tensor.detach().cpu().numpy()


def _tensor(array: np.ndarray) -> Tensor:
    """The tensor again; its memory is shared with other processes and nobody writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
