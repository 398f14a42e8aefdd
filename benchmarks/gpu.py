"""What cohorts do on an accelerator: correctness, host waits, speed by cohort size, growth, memory.

    python benchmarks/gpu.py [--minutes 8] [--tiny]

Needs no data: images are made up. Prints as it goes, and writes gpu.md and gpu.json into $OUT if that
is set, else into .out, after every part, so that a run that is cut short leaves what it has. `--tiny`
runs every part on a processor in sizes that say nothing about speed. Speeds are medians of repeated
stretches with their minimum and maximum; utilisation is against a matrix product measured here.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import itertools
import json
import os
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hydrometer import students
from hydrometer.artifact.rows import from_rows
from hydrometer.engine import loop
from hydrometer.engine.capture import eagerly
from hydrometer.engine.choice import DEFAULT, Choice
from hydrometer.engine.data import Images
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Cohort, Job
from hydrometer.engine.program import Program, Solo, Stack
from hydrometer.execute.lab import Lab
from hydrometer.registry import parse
from hydrometer.testing.sources import bars
from hydrometer.types import Recipe, Spec, Trial
from tabulate_results import environment_line, table

AUGMENTS = {"none": (), "dsa": (Spec("dsa"),), "flip and crop": (Spec("flip"), Spec("pad-crop"))}
STEPS_OF_A_STUDENT = 1000
"""`students per second` are students of so many steps."""


@dataclass
class Bench:
    """A source, a device, what is left of the time, and what has been found."""

    lab: Lab
    tiny: bool
    end: float
    out: Path
    parts: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.end - time.monotonic()

    @property
    def on_gpu(self) -> bool:
        """Whether this is more than a try on a processor."""
        return self.lab.device.type == "cuda"

    def settle(self) -> None:
        """Wait until the device has done what it was given."""
        if self.on_gpu:
            torch.cuda.synchronize()

    def note(self, part: str, **found: object) -> None:
        """Print a row of a part and keep it."""
        self.parts.setdefault(part, []).append(found)
        print(f"{part}: " + ", ".join(f"{k} {v}" for k, v in found.items()), flush=True)

    def write(self) -> None:
        """Write all that has been found so far."""
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "gpu.json").write_text(json.dumps(self.parts, indent=1, default=str))
        pages = ["# Cohorts on an accelerator", "Made by `python benchmarks/gpu.py`."]
        for part, rows in self.parts.items():
            head = list(dict.fromkeys(name for row in rows for name in row))
            cells = [[str(row.get(name, "")) for name in head] for row in rows]
            pages += [f"## {part}", table(head, cells)]
        pages.append(environment_line(self.lab.device))
        (self.out / "gpu.md").write_text("\n\n".join(pages) + "\n")

    def job(self, seed: int = 0, images: int = 100, **changes: object) -> Job:
        """A student of so many images, trained as DD-Ranking does but for these changes."""
        source = self.lab.source
        rows = torch.arange(0, len(source.train), max(1, len(source.train) // images))[:images]
        data = from_rows(source, rows, method="some", budget="some")
        settings: dict[str, object] = {
            "student": students.spec("convnet-2" if self.tiny else "convnet-3"),
            "optimiser": Spec("sgd"), "lr": 0.01, "schedule": Spec("step"), "epochs": 1000,
            "batch": 256, "augment": AUGMENTS["dsa"], **changes,
        }  # fmt: skip
        if self.tiny:
            settings["student"] = parse("convnet(depth=2,norm=instance,width=8)")
        recipe = Recipe(**settings)  # type: ignore[arg-type]
        return Job(Trial(data.digest, source.digest, recipe, seed), data)

    def jobs(self, count: int, **changes: object) -> list[Job]:
        """Students of seeds and rates of their own on one set."""
        first = self.job(**changes)
        rates = itertools.cycle((0.001, 0.005, 0.01, 0.05, 0.1))
        return [
            Job(
                Trial(first.trial.set_digest, first.trial.source_digest, _at(first, rate), seed),
                first.data,
            )
            for seed, rate in zip(range(count), rates, strict=False)
        ]

    def cohort(self, jobs: Sequence[Job]) -> Cohort:
        """The jobs as one cohort."""
        return Cohort(jobs, self.lab.source, self.lab.lens(None), ())


def _at(job: Job, rate: float) -> Recipe:
    return dataclasses.replace(job.trial.recipe, lr=rate)


def correctness(bench: Bench) -> None:
    """Float32: students of a cohort against each by itself, and the cohort in another order."""
    for name in ("convnet-3", "resnet-18"):
        jobs = bench.jobs(3 if bench.tiny else 7, student=students.spec(name), epochs=20)
        _, stacked = loop.train(bench.cohort(jobs))
        together, again = loop.train(bench.cohort(jobs))
        _, turned = loop.train(bench.cohort(jobs[::-1]))
        with eagerly():
            launched = bench.cohort(jobs).program()
        _, plain = loop.train(bench.cohort(jobs), program=launched)
        recordings = list(together.captured.recordings.values())  # type: ignore[attr-defined]
        images = Images(bench.lab.source.test.images[:64], bench.lab.lens(None))
        answers = together.logits(images[torch.arange(len(images))])
        losses, logits = [], []
        for k, job in enumerate(jobs):
            alone, single = loop.train(bench.cohort([job]))
            losses.append(float((single[:, 0] - stacked[:, k]).abs().max()))
            own = alone.logits(images[torch.arange(len(images))])[0]
            logits.append(float((own - answers[k]).abs().max()))
        bench.note(
            "correctness in float32",
            student=name,
            students=len(jobs),
            steps=20,
            largest_loss_difference=f"{max(losses):.2e}",
            largest_logit_difference=f"{max(logits):.2e}",
            another_order=f"{float((turned.flip(1) - stacked).abs().max()):.2e}",
            twice_the_same=bool(torch.equal(stacked, again)),
            layouts_recorded=f"{sum(map(bool, recordings))} of {len(recordings)}",
            launched_instead=f"{float((plain - stacked).abs().max()):.2e}",
        )


def waits(bench: Bench) -> None:
    """How often the host waits for the device in an epoch, once all is warm."""
    for name, augment in AUGMENTS.items():
        for count in (1, 8):
            cohort = bench.cohort(bench.jobs(count, augment=augment, batch=25, epochs=3))
            program = cohort.program()
            steps = list(_steps(cohort, program, 12))
            for step in steps[:4]:
                step()
            bench.settle()
            found = _waits(steps[4:8]) if bench.on_gpu else "not on a processor"
            bench.note(
                "host waits in an epoch of 4 steps", augment=name, students=count, waits=found
            )


def _waits(steps: Sequence[Callable[[], object]]) -> int:
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for step in steps:
                step()
        return sum("synchroniz" in str(one.message) for one in said)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _steps(cohort: Cohort, program: Program, count: int) -> Iterator[Callable[[], Tensor]]:
    """Steps of a cohort as training takes them; batches and draws are made as they are taken."""
    draws = cohort.draws(0, count)
    for i, batch in enumerate(itertools.islice(cohort.batches(), count)):

        def step(i: int = i, batch: loop.Batch = batch) -> Tensor:
            return program.step(*cohort.view(batch, draws[:, i]), cohort.rate(batch.progress))

        yield step


def timed(bench: Bench, steps: Sequence[Callable[[], object]], repeats: int = 5) -> list[float]:
    """Seconds per step of repeated stretches, after one that warms up; each stretch is about 0.5 s."""
    steps[0]()
    bench.settle()
    start = time.perf_counter()
    steps[-1]()
    bench.settle()
    once = max(time.perf_counter() - start, 1e-6)
    count = 1 if bench.tiny else max(2, min(len(steps), int(0.5 / once)))
    found = []
    for _ in range(2 if bench.tiny else repeats):
        start = time.perf_counter()
        for step in itertools.islice(itertools.cycle(steps), count):
            step()
        bench.settle()
        found.append((time.perf_counter() - start) / count)
    return found


def spread(values: Sequence[float], scale: float = 1.0, digits: int = 2) -> str:
    low, middle, high = (scale * f(values) for f in (min, statistics.median, max))
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] n={len(values)}"


def rates(bench: Bench) -> dict[str, float]:
    """Measured rates of a large matrix product, flop/s, which utilisation is counted against."""
    size = 128 if bench.tiny else 8192
    found = {}
    for precision, kind in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        one = torch.randn(size, size, device=bench.lab.device, dtype=kind)
        seconds = timed(bench, [lambda one=one: one @ one] * 50)
        found[precision] = 2 * size**3 / statistics.median(seconds)
        bench.note(
            "measured rate of a matrix product",
            precision=precision,
            size=size,
            tflops=spread([2 * size**3 / s for s in seconds], 1e-12, 1),
        )
    return found


def flops(job: Job, bench: Bench) -> float:
    """Floating-point operations of a step on one image: forward, and twice as many backward."""
    shape, classes = bench.lab.source.shape, len(bench.lab.source.classes)
    model = students.create(job.trial.recipe.student, shape, classes, 0)
    with FlopCounterMode(display=False) as counted:
        model(torch.zeros(2, *shape))
    return 3 * counted.get_total_flops() / 2


def speed(bench: Bench, rate: dict[str, float]) -> None:
    """Students per second against the size of the cohort, and how much of the arithmetic is used."""
    sizes = (1, 2) if bench.tiny else (1, 8, 64, 256)
    cases = (("convnet-3", "float32"), ("convnet-3", "bfloat16"), ("resnet-18", "bfloat16"))
    for (name, precision), size in itertools.product(cases, sizes):
        jobs = bench.jobs(size, student=students.spec(name), precision=precision)
        attempt(bench, "speed by cohort size", f"{name} {precision} {size}", _speed, jobs, rate)


def _speed(bench: Bench, jobs: Sequence[Job], rate: dict[str, float]) -> dict[str, object]:
    forget(bench)
    cohort = bench.cohort(jobs)
    program = cohort.program()
    seconds = timed(bench, list(_steps(cohort, program, 32)))
    images = min(cohort.size, cohort.recipe.batch)
    work = flops(jobs[0], bench) * images * len(jobs)
    return {
        "step, ms": spread(seconds, 1e3),
        f"students of {STEPS_OF_A_STUDENT} steps per second": spread(
            [len(jobs) / s / STEPS_OF_A_STUDENT for s in seconds], digits=3
        ),
        "utilisation": f"{work / statistics.median(seconds) / rate[cohort.recipe.precision]:.1%}",
        "peak": memory(bench),
    }


def ways(bench: Bench) -> None:
    """One step of the same students in different ways; whole steps as a graph are an experiment."""
    makers: dict[str, Callable[[Cohort], Callable[[], object]]] = {
        "single": lambda cohort: _alone(cohort, DEFAULT),
        "single, launched": lambda cohort: _launched(lambda: _alone(cohort, DEFAULT)),
        "single, channels-last": lambda cohort: _alone(cohort, Choice(layout="channels-last")),
        "stacked": lambda cohort: _fixed(cohort, cohort.program()),
        "stacked, launched": lambda cohort: _launched(lambda: _fixed(cohort, cohort.program())),
        "stacked, the whole step a CUDA graph": _captured,
        "stacked, the whole step a CUDA graph, cudnn free to choose": _unbound,
    }
    for name in ("convnet-3", "resnet-18"):
        for way, make in makers.items():
            if "graph" in way and not bench.on_gpu:
                continue
            size = 1 if "single" in way else (2 if bench.tiny else 32)
            jobs = bench.jobs(size, student=students.spec(name), precision="bfloat16")
            attempt(
                bench, "ways to take a step in bfloat16", f"{name}, {way}, {size}", _way, jobs, make
            )


def _way(
    bench: Bench, jobs: Sequence[Job], make: Callable[[Cohort], Callable[[], object]]
) -> dict[str, object]:
    forget(bench)
    seconds = timed(bench, [make(bench.cohort(jobs))] * 50)
    return {"step of a student, ms": spread([s / len(jobs) for s in seconds], 1e3, 3)}


def _fixed(cohort: Cohort, program: Program) -> Callable[[], object]:
    """A step on one view, again and again, without the making of views."""
    batch = next(cohort.batches())
    images, target = cohort.view(batch, cohort.draws(0, 1)[:, 0])
    none = [0.0] * len(cohort.jobs)
    return lambda: program.step(images, target, none)


def _alone(cohort: Cohort, choice: Choice) -> Callable[[], object]:
    cohort.alone = lambda *words: Solo(*words, choice=choice)
    return _fixed(cohort, cohort.program())


def _launched(make: Callable[[], Callable[[], object]]) -> Callable[[], object]:
    """The same step without recorded gradients."""
    with eagerly():
        return make()


def _captured(cohort: Cohort) -> Callable[[], object]:
    """The same step replayed from a CUDA graph; rates stand still, as their copy cannot be captured."""
    with eagerly():
        program = cohort.program()
    assert isinstance(program, Stack)
    still = torch.zeros(len(cohort.jobs), device=cohort.device)
    program._on_device = lambda rates: still  # type: ignore[method-assign]
    step = _fixed(cohort, program)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _unbound(cohort: Cohort) -> Callable[[], object]:
    """Captured while cuDNN tries its kernels and may take ones that add in no fixed order."""
    cudnn = torch.backends.cudnn
    cudnn.deterministic, cudnn.benchmark = False, True
    try:
        return _captured(cohort)
    finally:
        cudnn.deterministic, cudnn.benchmark = True, False


def growth(bench: Bench) -> None:
    """Whole students, exams included: time against students, images and epochs."""
    few = bench.tiny
    for students_, images, epochs in (
        *((count, 100, 10 if few else 100) for count in ((1, 2) if few else (1, 4, 16, 64))),
        *((2, count, 2 if few else 20) for count in ((50, 100) if few else (100, 1000, 4000))),
        *((2, 100, count) for count in ((1, 2) if few else (50, 200, 800))),
    ):
        jobs = bench.jobs(students_, images=images, epochs=epochs)
        what = f"{students_} students, {images} images, {epochs} epochs"
        attempt(bench, "growth", what, _grown, jobs)


def _grown(bench: Bench, jobs: Sequence[Job]) -> dict[str, object]:
    forget(bench)
    exams, start = bench.lab.exams(None), time.perf_counter()
    loop.run(jobs, bench.lab.source, bench.lab.lens(None), lambda: exams)
    bench.settle()
    return {"seconds": f"{time.perf_counter() - start:.2f}", "peak": memory(bench)}


def attempt(
    bench: Bench, part: str, what: str, measure: Callable[..., dict[str, object]], *words: object
) -> None:
    """One row of a part; it says so where memory or time did not do, or the device refused."""
    if bench.left < 15 and not bench.tiny:
        bench.note(part, what=what, failed="left out: no time left")
        return
    try:
        bench.note(part, what=what, **measure(bench, *words))
    except torch.OutOfMemoryError:
        bench.note(part, what=what, failed="out of memory")
    except RuntimeError as error:
        bench.note(part, what=what, failed=str(error).strip().partition("\n")[0][:120])


def forget(bench: Bench) -> None:
    """Start with free memory, and count its peak from here."""
    gc.collect()
    if bench.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def memory(bench: Bench) -> str:
    if bench.on_gpu:
        return f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB of the process"


def main() -> None:
    """Run every part that time allows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    device = torch.device("cpu") if asked.tiny else default_device()
    if device.type == "cpu" and not asked.tiny:
        raise SystemExit("no accelerator here; --tiny tries every part on the processor")
    source = bars(10, per_class=6) if asked.tiny else bars(10, per_class=500, size=32, channels=3)
    out = Path(os.environ.get("OUT") or ".out")
    bench = Bench(Lab(source, device), asked.tiny, time.monotonic() + 60 * asked.minutes, out)
    print(environment_line(device), flush=True)
    if asked.tiny:
        print("tiny: one small network stands in for all that are named")
    rate = rates(bench)
    for part in (correctness, waits, partial(speed, rate=rate), ways, growth):
        try:
            part(bench)
        except RuntimeError as error:
            bench.note("failures", part=str(part)[:60], error=str(error)[:300])
        bench.write()


if __name__ == "__main__":
    main()
