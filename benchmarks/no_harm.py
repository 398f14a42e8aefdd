"""When all labels are kept, and when some may be mended: what is read off noises of known size.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/no_harm.py --sources digits digits+symmetric:0.1 ...

Each row is a source under several noise seeds (clean ones under several folds of the probe); estimators
keep the recordings they read, so the command goes on where it was stopped. Writes docs/results/no-harm.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hydrometer import sources
from hydrometer.engine.environment import default_device
from hydrometer.methods import trust
from hydrometer.methods.trust import cleanlab_trust, combined, evidence, harm, joint, tad
from hydrometer.methods.trust.report import Labels, Provenance, TrustReport
from hydrometer.sources.noise import NoisySource
from tabulate_results import command, environment_line, publish, table

RESULTS = Path(__file__).parents[1] / "docs" / "results"
DIGITS = ("", "+symmetric:0.03", "+symmetric:0.1", "+symmetric:0.4", "+asymmetric:0.4")


@dataclass(frozen=True)
class Reading:
    """Fractions: labels that are wrong, that the joint finds wrong, and that the surest images have.

    `kept` are the shares of images that TAD, the combination and cleanlab keep without the rule;
    `able` is how often the classifier is right, `estimated` what is thought of that, and `mended` how
    many of the labels that TAD and the combination would mend by it come out right.
    """

    images: int
    wrong: float
    joint: float
    surest: float
    harmless: bool
    kept: tuple[float, float, float]
    able: float
    estimated: float
    mended: tuple[float, float]


def read(name: str, student: str, seed: int) -> Reading:
    """What is known of one source under one noise seed."""
    source = sources.load(sources.redrawn(name, seed))
    known = evidence.gather(sources.sealed(source), "network", student, rng=trust.draws(seed))
    clean = source.clean_train.numpy() if isinstance(source, NoisySource) else known.given
    found = joint.confident_joint(known.given, known.probabilities)
    diverted = tad.diverted(known, gate=False, rng=trust.draws(seed))
    merged, confident = (
        combined.merged(known, gate=False),
        cleanlab_trust.confident(known, gate=False),
    )
    return Reading(
        len(known.given),
        float((known.given != clean).mean()),
        joint.noise_share(found),
        harm.doubt(known.given, known.probabilities),
        bool(harm.harmless(found, known.given, known.probabilities)),
        (diverted.keep.mean(), merged.keep.mean(), confident.keep.mean()),
        float((known.probabilities.argmax(1) == clean).mean()),
        harm.accuracy(known.given, known.probabilities),
        (mended_right(diverted, clean), mended_right(merged, clean)),
    )


def mended_right(report: TrustReport, clean: Labels) -> float:
    """Share of the mended labels that are right; NaN where none is mended."""
    mended = report.provenance == Provenance.RECALIBRATED
    return float((report.suggested[mended] == clean[mended]).mean()) if mended.any() else np.nan


def row(name: str, readings: Sequence[Reading]) -> list[str]:
    """A source, the means over its seeds, and how often all was kept."""
    kept = np.mean([r.kept for r in readings], axis=0)
    both = zip(*(r.mended for r in readings), strict=True)
    mended = [[m for m in shares if not np.isnan(m)] for shares in both]
    thought = [r.estimated for r in readings if not np.isnan(r.estimated)]
    doubts = [r.surest for r in readings]
    return [
        name,
        str(readings[0].images),
        f"{np.mean([r.wrong for r in readings]):.1%}",
        f"{np.mean([r.joint for r in readings]):.1%}",
        f"{np.mean(doubts):.1%} ({min(doubts):.1%} to {max(doubts):.1%})",
        f"{sum(r.harmless for r in readings)} of {len(readings)}",
        *(f"{share:.0%}" for share in kept),
        f"{np.mean([r.able for r in readings]):.0%}",
        f"{np.mean(thought):.0%} ({min(thought):.0%} to {max(thought):.0%})"
        if thought
        else "unknown",
        " / ".join(f"{np.mean(shares):.0%}" if shares else "none" for shares in mended),
    ]


def page(rows: list[list[str]], student: str, seeds: int) -> str:
    head = ["source", "images", "wrong", "joint", "among the surest", "all kept"]
    head += [f"{name} alone keeps" for name in ("tad", "combined", "cleanlab")]
    head += ["classifier right", "estimated", "mended right, tad / combined"]
    return "\n".join(
        [
            "# The no-harm rule\n",
            f"Made by `{command()}`; n={seeds} seeds of noise and probe, means, and range of what decides. Estimators read "
            f"{student or 'the network of the size'}. All are kept where the confident joint finds under "
            f"{harm.HARMLESS:.0%} wrong, or where under {harm.SOUND:.0%} of the surest images have another label, "
            f"in no class significantly more, and the joint finds more than {harm.OVERSTATED:g} times that. "
            "`alone` is with `gate=false`. Labels are mended where the classifier is right on "
            f"{harm.ABLE:.0%} of the images by the estimate; here they are regardless, to see how many "
            "come out right.\n",
            table(head, rows),
            "",
            environment_line(default_device()),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", nargs="+", default=[f"digits{noise}" for noise in DIGITS])
    parser.add_argument("--student", default="", help="else the field's for the size")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--page", type=Path, default=RESULTS / "no-harm.md")
    asked = parser.parse_args()
    rows = []
    for name in asked.sources:
        rows.append(row(name, [read(name, asked.student, seed) for seed in range(asked.seeds)]))
        print(" | ".join(rows[-1]), flush=True)
    publish(asked.page, page(rows, asked.student, asked.seeds))


if __name__ == "__main__":
    main()
