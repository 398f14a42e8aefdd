"""Boards of made-up entries whose numbers are easy to recognise; nothing is trained."""

import json

import torch

from hydrometer.board.entry import Entry, RawRun, SetPlace
from hydrometer.types import (
    ArmResult,
    Bytes,
    Card,
    CompressedSet,
    Environment,
    Estimate,
)

PLACE = Environment(hydrometer="0.1", torch="2", python="3.11", device="a device", threads=1)
HOSTILE = (
    """</script></style><script>document.title="pwned"</script><img src=x onerror=alert(1)>'"&é漢"""
)
SEEDS = tuple(range(5))
SPREAD = (-0.02, -0.01, 0.0, 0.01, 0.02)
TESTED = 100


def entry(method="random", accuracy=0.5, *, budget="ipc=1", source="tiny", labels="hard",
          protocol="ddranking-hard-quick@1", size=1000, classes=("cat", "dog"), spread=SPREAD,
          digest=None, **more):  # fmt: skip
    """An entry whose set reaches `accuracy`, where random images reach 0.4 and all data 0.9."""
    digest = digest or f"{method}{budget}{source}{protocol}".encode().hex()[:20]
    reached = {"subject": accuracy, "random": 0.4, "full": 0.9}
    arms = tuple(arm(name, mean, spread, digest) for name, mean in reached.items())
    estimates = {f"accuracy:{a.name}": estimate(reached[a.name]) for a in arms} | {
        "accuracy": estimate(accuracy),
        "ior": estimate(accuracy - 0.4),
    }
    card = Card(source=source, source_digest=f"{source}-digest", classes=classes, method=method,
                budget=budget, seed=0, seconds=2.0, bytes=Bytes(images=size, labels=0))  # fmt: skip
    values = {
        "set": SetPlace(digest=digest, where="a shelf"),
        "card": card,
        "protocol": protocol,
        "source": source,
        "source_digest": f"{source}-digest",
        "estimates": estimates,
        "arms": arms,
        "runs": tuple(run(a, seed, labels, len(classes)) for a in arms for seed in SEEDS),
        "recipes": {f"{a.name}-{labels}": recipe(labels) for a in arms},
        "notices": (),
        "environment": PLACE,
    }
    values["arms"] = tuple(
        a.model_copy(update={"recipe_digest": f"{a.name}-{labels}"}) for a in arms
    )
    return Entry(**values | more)


def recipe(labels):
    return json.dumps({"labels": labels, "student": "convnet"})


def estimate(value):
    return Estimate(value=value, low=value - 0.02, high=value + 0.02, level=0.95, n=len(SEEDS))


def arm(name, mean, spread, digest):
    return ArmResult(
        name=name,
        set_digest=(digest,),
        recipe_digest=name,
        lr=0.05,
        seeds=SEEDS,
        accuracy=tuple(mean + s for s in spread),
        val_accuracy=(0.5,) * len(SEEDS),
        diverged=0,
        runs=tuple(f"{digest}-{name}-{seed}" for seed in SEEDS),
    )


def run(of, seed, labels, classes):
    hits = tuple(round(TESTED * of.accuracy[seed]) for _ in range(classes))
    return RawRun(
        key=of.runs[seed],
        set_digest=of.set_digest[0],
        recipe_digest=f"{of.name}-{labels}",
        seed=seed,
        status="done",
        val_hits=hits,
        val_totals=(TESTED,) * classes,
        test_hits=hits,
        test_totals=(TESTED,) * classes,
        steps=100,
        seconds=1.5,
        losses=(2.0, 1.0, 0.5, 0.25),
    )


def images(of):
    """A set for an entry: one 4x4 image per class."""
    labels = torch.arange(len(of.card.classes))
    pixels = torch.arange(len(labels) * 48, dtype=torch.uint8).view(-1, 3, 4, 4)
    return CompressedSet(pixels, labels, of.card, of.set.digest)


def several():
    """Six entries on two sources, two protocols, two budgets and two label regimes, with a tie."""
    soft = {"protocol": "ddranking-soft-quick@1", "labels": "teacher"}
    zigzag = (0.02, -0.02, 0.0, 0.02, -0.02)
    return [
        entry("random", 0.45, size=1000),
        entry("herding", 0.7, size=1000),
        entry("el2n(policy=easy)", 0.702, size=1000, spread=zigzag),
        entry("herding", 0.8, budget="ipc=10", size=10_000),
        entry("dm", 0.6, source="other", size=4000),
        entry("rded", 0.65, **soft),
    ]
