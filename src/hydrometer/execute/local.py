"""Train as many students side by side as this machine has processors, each on one thread.

Small students gain nothing from a second thread and large ones lose a tenth to it (docs/performance.md).
A student on one thread also comes to the same digits on any number of processors. Accelerators train
whole cohorts as one program instead, in this process.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from hydrometer import sources
from hydrometer.engine.choice import on_threads
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Job
from hydrometer.execute import Executor, Manner, Observer, Silent, pace, serial
from hydrometer.execute.claims import Claims
from hydrometer.execute.lab import Lab
from hydrometer.execute.worker import Order, Parcels, Worker, image_bytes, setting
from hydrometer.registry import register
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Run, Source

WORTH_STARTING = 10.0
"""Seconds of work from which starting processes pays; less is done here, on one thread as well."""
SENT_BYTES = 64 * 2**20
"""Sources up to this size are sent; larger ones are opened by each worker, sharing their pages."""
WORKER = "student of hydrometer"
GROUP = Path("/sys/fs/cgroup")
POLL_SECONDS = 0.5
TELL_SECONDS = 0.5
"""How often a worker tells how far it is."""


@register("executor")
@contextmanager
def local(place: str) -> Iterator[Executor]:
    """This machine: `local` trains a student on each processor it may use, `local:N` N students."""
    abreast = _count(place)
    if default_device().type != "cpu":
        yield serial.execute
        return
    with Local(abreast).staffed() as executor:
        yield executor


def _count(place: str) -> int:
    if not place:
        return torch.get_num_threads()
    if not place.isdecimal() or int(place) < 1:
        raise HydrometerError(
            f"executor local takes a number of students side by side, got {place!r}; "
            "write local or local:2"
        )
    return int(place)


class Local:
    """An executor over processes of this machine, started when there is enough to do.

    When one of them dies, most likely for want of memory, another trains its student after all others,
    and one less trains from then on. When a student fails, those in training still end and are stored.
    """

    def __init__(self, abreast: int) -> None:
        self.manner = Manner(threads=1, abreast=abreast)
        self.most = abreast
        """Workers that there may be: no more than memory holds, and fewer once some have died."""
        self.hands: list[_Hand] = []
        self.opened: dict[str, bool] = {}
        """Whether a worker can open a source by its name, by digest."""

    @contextmanager
    def staffed(self) -> Iterator[Local]:
        """Itself; its workers are gone afterwards."""
        try:
            yield self
        finally:
            for hand in self.hands:
                hand.dismiss()
            self.hands.clear()

    def __call__(
        self, jobs: Sequence[Job], lab: Lab, store: Store, observer: Observer
    ) -> dict[str, Run]:
        """Runs by key for all jobs: from the store where they are there, else trained now.

        Raises:
            HydrometerError: A student's process died with no other beside it.
        """

        def attempt(pending: dict[str, Job]) -> bool:
            if not self._worthwhile(list(pending.values()), lab):
                return serial.attempted(pending, lab, store, observer, serial.train)
            return _Attempt(self, lab, store, observer).run(pending)

        with on_threads(self.manner.threads):
            return serial.complete(jobs, store, observer, attempt)

    def _worthwhile(self, jobs: Sequence[Job], lab: Lab) -> bool:
        """Whether jobs are for workers; a label bank is read by this process alone.

        Where there are workers they get single jobs too: what killed one must not kill this process.
        """
        if any(job.trial.recipe.bank for job in jobs):
            return False
        if self.hands:
            return True
        if min(self.manner.abreast, len(jobs)) < 2:
            return False
        return sum(seconds for _, seconds in pace.forecast(jobs, lab)) > WORTH_STARTING

    def staff(self, wanted: int) -> None:
        """Have so many workers, or as many as there was memory for before the first of them."""
        if not self.hands:
            self.most = max(1, min(self.most, _fitting()))
        for _ in range(min(wanted, self.most) - len(self.hands)):
            self.hands.append(_Hand())

    def lost(self, hand: _Hand) -> None:
        """A worker has died; there will be no more than the others."""
        hand.dismiss()
        self.hands.remove(hand)
        self.most = len(self.hands)

    def parcel(self, source: Source) -> Source | None:
        """What of a source is sent: small ones, and those that cannot be opened by name."""
        if source.digest not in self.opened:
            self.opened[source.digest] = image_bytes(source) > SENT_BYTES and _opens(source)
        return None if self.opened[source.digest] else source


class _Attempt:
    """One pass over what the store does not hold."""

    def __init__(self, local: Local, lab: Lab, store: Store, observer: Observer) -> None:
        self.local, self.lab, self.store, self.observer = local, lab, store, observer
        self.claims, self.parcels = Claims(store), Parcels(lab.source)
        self.setting = setting(lab, "cpu")
        self.failed: list[BaseException] = []

    def run(self, pending: dict[str, Job]) -> bool:
        """Train all that can be claimed, long students first; false if all of it is someone else's."""
        queue = deque(sorted(pending.items(), key=lambda item: -_work_of(item[1])))
        worked = False
        try:
            while self._give(queue) or self._busy():
                worked = True
                self._take()
        finally:
            for hand in self._busy():  # only when something else than a student failed
                hand.dismiss()
                self.local.hands.remove(hand)
            self.claims.release()
        if self.failed:
            raise self.failed[0]
        return worked

    def _busy(self) -> list[_Hand]:
        return [hand for hand in self.local.hands if hand.key is not None]

    def _give(self, queue: deque[tuple[str, Job]]) -> bool:
        """Give every free worker a student; false if there is none left to give."""
        self.local.staff(len(queue) + len(self._busy()))
        given = False
        for hand in self.local.hands[: self.local.most]:
            while hand.key is None and queue and not self.failed:
                key, job = queue.popleft()
                if self.claims.take([key]):
                    hand.start(key, self._order(job, hand))
                    given = True
        return given

    def _order(self, job: Job, hand: _Hand) -> Order:
        """What a worker must be told; it keeps the last source, and finds teachers in the cache."""
        new = hand.source != self.lab.source.digest
        hand.source = self.lab.source.digest
        return Order(
            self.setting,
            self.local.parcel(self.lab.source) if new else None,
            {},
            job.trial,
            job.data.card if self.parcels.light(job.data) else job.data,
        )

    def _take(self) -> None:
        """Hear from the workers for a moment."""
        busy = {hand.pipe: hand for hand in self._busy()}
        for pipe in wait(list(busy), timeout=POLL_SECONDS):
            hand = busy[pipe]  # type: ignore[index]
            try:
                self._hear(hand, hand.received())
            except (EOFError, ConnectionResetError):
                self._mourn(hand)
        self.claims.renew()

    def _hear(self, hand: _Hand, said: int | Run | BaseException) -> None:
        if isinstance(said, int):
            self.observer.stepped(said)
            return
        key = hand.freed()
        if isinstance(said, Run):
            self.store.add(said)
            self.observer.finished(said)
        else:
            self.failed.append(said)
        self.claims.release([key])

    def _mourn(self, hand: _Hand) -> None:
        """Leave the student of a worker that died to the next pass, if there is another worker."""
        self.local.lost(hand)
        key = hand.freed()
        self.observer.stepped(-hand.told)
        self.claims.release([key])
        if self.local.most:
            self.observer.say(f"a worker died ({hand.end()}); going on with {self.local.most}")
            return
        self.failed.append(
            HydrometerError(
                f"the process of a student died ({hand.end()}), the last of several; if it printed "
                "nothing, memory ran out, and --on serial needs least"
            )
        )


class _Hand:
    """A worker as its driver sees it."""

    def __init__(self) -> None:
        if multiprocessing.current_process().name == WORKER:
            raise HydrometerError(
                "a worker runs the script again that started it; put what the script does under "
                'if __name__ == "__main__":'
            )
        context = multiprocessing.get_context("spawn")  # forked threads of torch would hang
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_serve, name=WORKER, args=(theirs,), daemon=True
        )
        with _unheard(signal.SIGINT):  # the driver hears it too, and decides
            self.process.start()
        theirs.close()
        self.key: str | None = None
        self.source = ""
        self.told = 0

    def start(self, key: str, order: Order) -> None:
        """Have a student trained."""
        self.key, self.told = key, 0
        try:
            self.pipe.send_bytes(pickle.dumps(order))
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died; reading will tell

    def received(self) -> int | Run | BaseException:
        """Steps taken since last time, or how the student ended."""
        said: int | Run | BaseException = pickle.loads(self.pipe.recv_bytes())
        self.told += said if isinstance(said, int) else 0
        return said

    def freed(self) -> str:
        """The key of the student that it had."""
        key, self.key = self.key, None
        assert key is not None
        return key

    def dismiss(self) -> None:
        """End it, whatever it does."""
        self.pipe.close()
        self.process.kill()
        self.process.join()

    def end(self) -> str:
        """How it ended."""
        code = self.process.exitcode
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit {code}"


@contextmanager
def _unheard(number: signal.Signals) -> Iterator[None]:
    """Processes started within never hear the signal, not even while they import."""
    resource_tracker.ensure_running()  # starting it within would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection) -> None:
    """Train what comes through a pipe until it is closed."""
    worker, teller = Worker(), _Teller(pipe)
    with suppress(EOFError, OSError):  # the driver has closed the pipe, or is no more
        while True:
            order: Order = pickle.loads(pipe.recv_bytes())
            teller.tell(_outcome(worker, order, teller))


def _outcome(worker: Worker, order: Order, teller: _Teller) -> Run | Exception:
    try:
        job, lab = worker.job(order)
        (run,) = serial.train([job], lab, Silent(), teller)
    except Exception as error:
        return error if _travels(error) else HydrometerError(f"{type(error).__name__}: {error}")
    return run


class _Teller:
    """Counts the steps of a student and passes them on now and then.

    Where the driver is no more, telling fails, and so ends training and the worker.
    """

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.steps, self.told = 0, time.monotonic()

    def __call__(self, steps: int) -> None:
        self.steps += steps
        if time.monotonic() - self.told > TELL_SECONDS:
            self.tell(self.steps)

    def tell(self, what: int | Run | Exception) -> None:
        """Send something; steps not told yet go first."""
        if not isinstance(what, int) and self.steps:
            self.pipe.send_bytes(pickle.dumps(self.steps))
        self.pipe.send_bytes(pickle.dumps(what))
        self.steps, self.told = 0, time.monotonic()


def _travels(error: Exception) -> bool:
    """Whether an error can be sent and is the same on arrival."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False


def _work_of(job: Job) -> int:
    """Images that a student is shown."""
    return job.trial.recipe.epochs * len(job.data)


def _opens(source: Source) -> bool:
    """Whether its name leads to the same source."""
    try:
        return sources.load(source.name).digest == source.digest
    except HydrometerError:
        return False


def _fitting() -> int:
    """Workers that fit into free memory, if each takes what this process took at most."""
    free, most = _kibibytes("meminfo", "MemAvailable"), _kibibytes("self/status", "VmHWM")
    return int(min(free, _left_to_group()) // most) if free and most else os.cpu_count() or 1


def _left_to_group() -> float:
    """Kibibytes that a container of cgroups(7) version 2 leaves; without end where it sets no limit."""
    try:
        limit, used = (int((GROUP / f"memory.{which}").read_text()) for which in ("max", "current"))
    except (OSError, ValueError):
        return float("inf")
    return max(0, limit - used) // 1024


def _kibibytes(file: str, field: str) -> int:
    """A field of proc(5); 0 where the system has none."""
    try:
        lines = Path("/proc", file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)
