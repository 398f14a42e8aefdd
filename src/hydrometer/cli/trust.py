"""`hydrometer trust`: which labels of a source to believe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.cli.options import JsonOption, SourceOption, new_folder

if TYPE_CHECKING:
    from hydrometer.methods.trust.records import Summary


def command(
    source: SourceOption,
    trust: Annotated[
        str, typer.Option("--trust", "-t", help="e.g. tad, combined, cleanlab(features=pixels).")
    ] = "tad",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write.", callback=new_folder)
    ] = Path("trust"),
    seed: Annotated[int, typer.Option(help="Seed of everything random in the estimator.")] = 0,
    json: JsonOption = False,
) -> None:
    """Find images with wrong labels: a contact sheet, noise by class, and the rows to keep."""
    from hydrometer import registry, sources
    from hydrometer.cli.console import write
    from hydrometer.methods import trust as trusts
    from hydrometer.methods.trust import records
    from hydrometer.report import suspects

    spec = registry.parse(trust)
    loaded = sources.load(source)
    report = trusts.estimate(loaded, spec, seed=seed)
    found = records.summary(report, loaded)
    out.mkdir(exist_ok=True)
    records.write(found, out / "report.json")
    records.write(records.cleaned(report, loaded), out / "cleaned.json")
    rows = report.suspects[: suspects.MOST]
    suspects.sheet(
        loaded.train.images[rows.copy()],
        [s.given for s in found.suspects],
        [s.suggested for s in found.suspects],
        out / "suspects.png",
    )
    (out / "report.txt").write_text(told(found), encoding="utf-8")
    write(found.model_dump_json() if json else told(found) + f"written to {out}/")


def told(found: Summary) -> str:
    """The summary as text: what became of the labels, then noise by class, noisiest first."""
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items() if count)
    lines = [f"{found.source}, {found.images} images by {found.estimator}: {counts}"]
    width = max(map(len, found.noise))
    for name, share in sorted(found.noise.items(), key=lambda item: -item[1]):
        lines.append(f"  {name:{width}}  {share:6.1%} of the labels not believed")
    if found.precision is not None and found.coverage is not None:
        lines.append(
            f"  against the clean labels: {found.precision:.1%} of the kept labels are right, "
            f"{found.coverage:.1%} of the right ones are kept, "
            f"{found.least_coverage or 0:.1%} in the class with the fewest"
        )
    lines += [f"  note: {note}" for note in found.notes]
    return "\n".join(lines) + "\n"
