"""Every registered method with arguments that make it quick."""

import inspect

from hydrometer import registry
from hydrometer.types import Spec

QUICK = {"iterations": 2, "steps": 2, "outer": 1, "inner": 1, "experts": 1, "checks": 0}
"""Arguments that say how long a method takes, with short values, where a method has them."""
TEACHER_EPOCHS = 30
"""For methods whose `epochs=0` trains a teacher for as long as it takes."""


def quick(name: str) -> Spec:
    takes = inspect.signature(registry.get("method", name)).parameters
    args = {key: value for key, value in QUICK.items() if key in takes}
    if "epochs" in takes and takes["epochs"].default == 0:
        args["epochs"] = TEACHER_EPOCHS
    return Spec(name, tuple(sorted(args.items())))
