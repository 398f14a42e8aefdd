"""Our own results as entries of the committed board: one for each verdict of board/plan.toml.

    make board        # runs the plan, then this

One set's accuracy is also split between images, labels, augmentation and recipe. Entries say how to make their set rather than where to get it: `board verify` makes it again.
"""

from __future__ import annotations

from pathlib import Path

from hydrometer import protocols, sources
from hydrometer.artifact import container
from hydrometer.artifact.writing import whole
from hydrometer.attribute import attribution
from hydrometer.bench import plan as plans
from hydrometer.board import entry as entries
from hydrometer.board import sheets
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.store import Store, verdicts
from hydrometer.types import CompressedSet

BOARD = Path(__file__).parent.parent / "board"
WHERE = "made again by `hydrometer board verify`"
EXPLAINED = ("herding(features=network)", "ipc=1")
"""Method and budget of the set whose accuracy is explained: the best of those that train fastest."""


def main() -> None:
    """Write an entry and a contact sheet for every verdict of the plan."""
    plan = plans.read(BOARD / "plan.toml")
    kept = [container.load(path) for path in sorted((plan.out / "sets").glob("*.safetensors"))]
    asked = {cell.method for cell in plan.cells}
    made = {(s.digest, s.card.method, s.card.budget): s for s in kept if s.card.method in asked}
    with Store(plan.store) as store:
        for verdict in verdicts.latest(store.verdicts()):
            subject = made.get((verdict.set_digest, verdict.card.method, verdict.card.budget))
            if subject is None:
                continue
            runs = store.get_many([key for arm in verdict.arms for key in arm.runs])
            found = entries.make(verdict, runs.values(), WHERE, None)
            sheets.write(subject, BOARD)
            print(entries.write(found, BOARD))
            if (verdict.card.method, verdict.card.budget) == EXPLAINED:
                print(explain(subject, store))


def explain(subject: CompressedSet, store: Store) -> Path:
    """Write where the accuracy of a set comes from, to be shown on its page."""
    lab = Lab(sources.load(subject.card.source), default_device())
    planned = attribution.plan(subject, protocols.load("rd3-quick@1"), lab)
    found = attribution.attribute(planned, lab, store)
    path = BOARD / "attributions" / f"{subject.digest}.json"
    path.parent.mkdir(exist_ok=True)
    with whole(path) as draft:
        draft.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
