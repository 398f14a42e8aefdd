import pytest
import torch

from hydrometer.types import (
    ArmResult,
    Bytes,
    Card,
    CompressedSet,
    Environment,
    Estimate,
    Run,
    Verdict,
)

ENVIRONMENT = Environment(hydrometer="0.1", torch="2", python="3.11", device="a device", threads=1)


@pytest.fixture
def estimate_of():
    def build(value, low=None, high=None, n=5):
        low, high = (value if x is None else x for x in (low, high))
        return Estimate(value=value, low=low, high=high, level=0.95, n=n)

    return build


@pytest.fixture
def make_set():
    """Sets of two 4x4 images per class."""

    def build(method="herding", classes=("cat", "dog"), budget="ipc=2", digest="set-digest"):
        labels = torch.arange(len(classes)).repeat_interleave(2)
        images = torch.arange(len(labels) * 48, dtype=torch.uint8).view(-1, 3, 4, 4)
        card = Card(
            source="tiny",
            source_digest="source-digest",
            classes=classes,
            method=method,
            budget=budget,
            seed=0,
            seconds=7.25,
            bytes=Bytes(images=12_000, labels=345),
            notes=("a note on the card",),
        )
        return CompressedSet(images, labels, card, digest)

    return build


@pytest.fixture
def make_verdict(estimate_of, make_set):
    """Verdicts with arms subject, random and full, whose numbers are easy to recognise."""

    def build(compressed=None, protocol="ddranking-hard-quick@1", gain=(0.032, 0.01, 0.05), **more):
        compressed = compressed or make_set()
        reached = {
            "subject": estimate_of(0.912, 0.901, 0.92),
            "random": estimate_of(0.88, 0.871, 0.889),
            "full": estimate_of(0.979, 0.97, 0.988, n=3),
        }
        estimates = {f"accuracy:{name}": found for name, found in reached.items()} | {
            "accuracy": reached["subject"],
            "hlr": estimate_of(0.067, 0.05, 0.08),
            "ior": estimate_of(*gain),
            "lrs": estimate_of(0.263, 0.25, 0.27),
        }
        values = {
            "protocol": protocol,
            "set_digest": compressed.digest,
            "source": "tiny",
            "source_digest": "source-digest",
            "card": compressed.card,
            "arms": tuple(_arm(name, found) for name, found in reached.items()),
            "estimates": estimates,
            "notices": (),
            "seconds": 75.0,
            "environment": ENVIRONMENT,
        }
        return Verdict(**values | more)

    return build


def _arm(name, found):
    seeds = tuple(range(found.n))
    return ArmResult(
        name=name,
        set_digest=("whole-digest" if name == "full" else "set-digest",),
        recipe_digest=f"{name}-recipe",
        lr=0.05,
        seeds=seeds,
        accuracy=tuple(found.value + 0.001 * (seed - 1) for seed in seeds),
        val_accuracy=tuple(0.5 for _ in seeds),
        diverged=0,
        runs=tuple(f"{name}-{seed}" for seed in seeds),
    )


@pytest.fixture
def make_run():
    def build(key="subject-0", **changes):
        values = {
            "key": key,
            "set_digest": "set-digest",
            "source_digest": "source-digest",
            "recipe_digest": "subject-recipe",
            "recipe": '{"lr":0.05,"student":"convnet(depth=2)"}',
            "seed": 0,
            "status": "done",
            "val_hits": (1,),
            "val_totals": (2,),
            "test_hits": (1,),
            "test_totals": (2,),
            "losses": (2.0, 1.0, 0.5, 0.25),
            "steps": 4,
            "seconds": 1.0,
            "environment": ENVIRONMENT,
        }
        return Run(**values | changes)

    return build
