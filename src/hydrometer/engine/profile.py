"""Where a student's time goes: data, augmentation, labels, forward, backward, optimiser, test."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from hydrometer.engine.capture import eagerly
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.loop import Alone, Cohort, Job, hits
from hydrometer.engine.program import Solo
from hydrometer.labels import Teachers
from hydrometer.labels.shards import LabelBank
from hydrometer.types import Source

PARTS = (
    "data", "augmentation", "labels", "forward", "backward", "forward and backward", "optimiser", "test",
)  # fmt: skip
"""The spans that the training loop marks."""


@dataclass(frozen=True)
class Span:
    """Total seconds of one part in a profiled stretch, and how often it ran."""

    part: str
    seconds: float
    calls: int


def spans(
    job: Job,
    source: Source,
    lens: Lens,
    exam: Images,
    teachers: Teachers,
    trace: Path,
    steps: int = 20,
    bank: LabelBank | None = None,
    alone: Alone = Solo,
) -> list[Span]:
    """Profile the first `steps` steps of a student and one exam; the trace opens in Perfetto.

    Profiling slows small operations, so these are shares of time, not speeds. On an accelerator they
    are the host's times, and the trace shows the device's; every operation is launched there, so that
    it can be seen.
    """
    cohort = Cohort([job], source, lens, teachers, bank, alone)
    with eagerly():
        program = cohort.program()
    batches = list(itertools.islice(cohort.batches(), steps))
    draws = cohort.draws(0, len(batches))
    activities = [ProfilerActivity.CPU]
    if lens.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as found:
        for i, batch in enumerate(batches):
            images, target = cohort.view(batch, draws[:, i])
            program.step(images, target, cohort.rate(batch.progress))
        hits(program, exam, source.test.labels, len(source.classes))
        if lens.device.type == "cuda":
            torch.cuda.synchronize()
    trace.parent.mkdir(parents=True, exist_ok=True)
    found.export_chrome_trace(str(trace))
    # On an accelerator every span stands there a second time, on the device's own clock.
    times = {e.key: e for e in found.key_averages() if e.device_type == DeviceType.CPU}
    return [
        Span(part, times[part].cpu_time_total / 1e6, times[part].count)
        for part in PARTS
        if part in times
    ]
