from hydrometer.types import Bytes, Card, Environment, Estimate, Run, Verdict

ENVIRONMENT = Environment(hydrometer="0", torch="2", python="3.11", device="cpu", threads=1)


def run_of(key, **changes):
    values = {
        "key": key,
        "set_digest": "set",
        "source_digest": "source",
        "recipe_digest": "recipe",
        "recipe": '{"lr":0.1,"note":"a, \\"quoted\\" one"}',
        "seed": 0,
        "status": "done",
        "val_hits": (3, 4),
        "val_totals": (5, 5),
        "test_hits": (10, 20),
        "test_totals": (50, 50),
        "losses": (2.0, 0.1 + 0.2),
        "steps": 10,
        "seconds": 1.5,
        "environment": ENVIRONMENT,
    }
    return Run(**values | changes)


def verdict_of(protocol):
    card = Card(
        source="digits",
        source_digest="source",
        classes=("a", "b"),
        method="random",
        budget="ipc=1",
        seed=0,
        seconds=0.0,
        bytes=Bytes(images=1, labels=1),
    )
    return Verdict(
        protocol=protocol,
        set_digest="set",
        source="digits",
        source_digest="source",
        card=card,
        arms=(),
        estimates={"lrs": Estimate(value=0.3, low=0.2, high=0.4, level=0.95, n=5)},
        seconds=1.0,
        environment=ENVIRONMENT,
    )
