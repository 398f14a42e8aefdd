"""TensorBoard: a folder of event files, one subfolder per student and per verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydrometer.loggers import losses, missing, title
from hydrometer.registry import register
from hydrometer.types import HydrometerError, Run, Verdict


@register("logger")
def tensorboard(place: str) -> TensorBoard:
    """Write loss curves, accuracies and estimates as event files: `--log tensorboard:DIR`.

    Raises:
        HydrometerError: The folder is missing from the name, or tensorboard is not installed.
    """
    if not place:
        raise HydrometerError("--log tensorboard needs a folder; write --log tensorboard:DIR")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise missing("tensorboard") from None
    return TensorBoard(Path(place).expanduser(), SummaryWriter)


class TensorBoard:
    """The logger of `tensorboard`; each thing has its own event file, closed when it is written."""

    def __init__(self, folder: Path, writer: Any) -> None:
        self.folder, self.writer = folder, writer

    def run(self, run: Run) -> None:
        """The loss by optimiser step, both accuracies at the last, and the recipe as text."""
        with self.writer(self.folder / "runs" / title(run)) as events:
            for step, loss in losses(run):
                events.add_scalar("loss", loss, step)
            events.add_scalar("accuracy/val", run.val_accuracy, run.steps)
            events.add_scalar("accuracy/test", run.test_accuracy, run.steps)
            events.add_text("recipe", run.recipe)

    def verdict(self, verdict: Verdict) -> None:
        """Every estimate with the ends of its interval."""
        with self.writer(self.folder / "verdicts" / title(verdict)) as events:
            for name, found in verdict.estimates.items():
                tag = name.replace(":", "/")
                for part in ("value", "low", "high"):
                    events.add_scalar(f"{tag}/{part}", getattr(found, part), 0)

    def close(self) -> None:
        """Nothing is open."""
