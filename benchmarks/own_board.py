"""Our own results as entries of the committed board: one for each verdict of board/plan.toml.

    make board        # runs the plan, then this

Entries say how to make their set rather than where to get it: `board verify` makes it again.
"""

from __future__ import annotations

from pathlib import Path

from hydrometer.artifact import container
from hydrometer.bench import plan as plans
from hydrometer.board import entry as entries
from hydrometer.board import sheets
from hydrometer.store import Store, verdicts

BOARD = Path(__file__).parent.parent / "board"
WHERE = "made again by `hydrometer board verify`"


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


if __name__ == "__main__":
    main()
