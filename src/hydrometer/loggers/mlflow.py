"""MLflow: one MLflow run per student and per verdict, on the server that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from hydrometer.loggers import losses, missing, title
from hydrometer.registry import register
from hydrometer.types import HydrometerError, Run, Verdict

LONGEST = 500
"""Characters that MLflow keeps of a parameter."""


@register("logger")
def mlflow(place: str) -> MLflow:
    """Send losses, accuracies and estimates to MLflow: `--log mlflow[:EXPERIMENT]`.

    Raises:
        HydrometerError: mlflow is not installed, or its server does not answer.
    """
    try:
        import mlflow as library
    except ImportError:
        raise missing("mlflow") from None
    name = place or "hydrometer"
    try:
        client = library.MlflowClient()
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
    except Exception as error:  # each kind of server raises its own
        raise HydrometerError(
            f"--log mlflow: {library.get_tracking_uri()} does not take experiment {name!r}: {error}; "
            "set MLFLOW_TRACKING_URI to a server, or to a file such as sqlite:///mlflow.db"
        ) from error
    return MLflow(library, client, experiment)


class MLflow:
    """The logger of `mlflow`; it uses a client of its own, and no run that is active elsewhere."""

    def __init__(self, library: Any, client: Any, experiment: str) -> None:
        self.library, self.client, self.experiment = library, client, experiment

    def run(self, run: Run) -> None:
        """The loss by optimiser step, both accuracies at the last, and the recipe as parameters."""
        metrics = [("loss", loss, step) for step, loss in losses(run)]
        metrics += [
            ("accuracy/val", run.val_accuracy, run.steps),
            ("accuracy/test", run.test_accuracy, run.steps),
        ]
        recipe = json.loads(run.recipe)
        tags = {"kind": "run", "key": run.key, "set": run.set_digest, "status": run.status}
        about = {"source": run.source, "method": run.method, "budget": run.budget}
        self._log(title(run), metrics, recipe | about | {"seed": run.seed}, tags)

    def verdict(self, verdict: Verdict) -> None:
        """Every estimate with the ends of its interval."""
        metrics = [
            (f"{name.replace(':', '/')}/{part}", getattr(found, part), 0)
            for name, found in verdict.estimates.items()
            for part in ("value", "low", "high")
        ]
        card = verdict.card
        about = {"source": verdict.source, "method": card.method, "budget": card.budget}
        told = about | {"seed": card.seed, "protocol": verdict.protocol}
        self._log(title(verdict), metrics, told, {"kind": "verdict", "set": verdict.set_digest})

    def close(self) -> None:
        """Nothing is open."""

    def _log(
        self,
        name: str,
        metrics: list[tuple[str, float, int]],
        params: Mapping[str, object],
        tags: dict[str, str],
    ) -> None:
        entities, now = self.library.entities, int(1000 * time.time())
        made = self.client.create_run(self.experiment, run_name=name, tags=tags)
        self.client.log_batch(
            made.info.run_id,
            metrics=[
                entities.Metric(key, value, now, step)
                for key, value, step in metrics
                if math.isfinite(value)
            ],
            params=[
                entities.Param(k, str(v)[:LONGEST]) for k, v in params.items() if v is not None
            ],
        )
        self.client.set_terminated(made.info.run_id)
