"""Trust-Aware Diversion, as far as it is known, with what it leaves open completed.

Wu et al., "Trust-Aware Diversion for Data-Effective Distillation" (arXiv 2502.05027).

[stated] An outer loop divides the data into a trusted and an untrusted space and redirects
distillation to the trusted; an inner loop recalibrates untrusted samples and takes them back; the
trusted space grows. [second-hand] The outer loop is a class-wise dynamic Gaussian mixture on losses
with a consistency term; the inner one judges reliability by Mahalanobis distance to anchors and by
cosine similarity, and selects pseudo-labels.

[ours] Everything else: the losses (one recorded network, smoothed over epochs, in round one; then
out-of-fold losses of a probe fitted on the trusted and recalled) and their class-wise standardised
logarithm; mixtures fitted as in DivideMix's code; a cut at 0.5 with class floors; anchors,
temperature, and the three conditions of recall; refitting always against the given labels; two
rounds, with the first as fallback if trust collapses; and the no-harm rule of `harm.py`, and that a
class where the confident joint finds less than 2 % of noise is kept whole. The consistency term,
whose form is unknown, is left out. No figure of the paper's may be expected of this.

Compressors get the kept images under their final labels. Beside labels, the weights and soft targets of
recalled images reach expert trajectories, the networks IDM trains, the teachers of decoupled methods and
RDED, and, as weights, the class means and gradients of real images. They do not reach the scores and
features of selection, batch norm's moments in a teacher, or the choice of starting images; classes
with few kept images are not skipped, as floors hold for all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from hydrometer.methods.trust import anchors
from hydrometer.methods.trust.evidence import Evidence, gather, given_loss, out_of_fold
from hydrometer.methods.trust.harm import HARMLESS, harmless, mends
from hydrometer.methods.trust.joint import clean_classes, confident_joint
from hydrometer.methods.trust.mixture import class_trust
from hydrometer.methods.trust.report import (
    Floats,
    Mask,
    Recall,
    Round,
    TrustReport,
    admitted,
    at_least,
    compose,
    everything,
    floor,
    wants_recall,
)
from hydrometer.registry import register
from hydrometer.types import HydrometerError, Source

CUT = 0.5
MOST_ROUNDS = 3
SETTLED = 0.005
COLLAPSED = 0.9


@register("trust")
def tad(
    source: Source,
    *,
    wanted: int = 0,
    features: str = "network",
    student: str = "",
    rounds: int = 2,
    recall: bool | None = None,
    gate: bool = True,
    rng: np.random.Generator,
) -> TrustReport:
    """Class-wise loss mixtures divide, anchors recalibrate, a few rounds: the dual loop of TAD.

    `features` are `network` or `pixels`; `student` names the network that is trained, the field's for
    the size unless given. Images are recalled where many are wanted (2 % of train, or all), because
    small sets gain from purity alone, and the classifier is right on three of four, as `harm.accuracy`
    estimates; and into classes below their floor. `recall` decides otherwise. Easiest-first selection
    takes them first, and its sets are then more alike. `gate=false` filters where the no-harm rule would
    keep all labels, or all of a class.
    """
    evidence = gather(source, features, student, rng=rng)
    start = time.perf_counter()
    found = diverted(
        evidence,
        rounds=rounds,
        least=floor(wanted, evidence.classes),
        recall=wants_recall(wanted, len(evidence.given), recall),
        gate=gate,
        rng=rng,
    )
    return replace(found, seconds=evidence.seconds + time.perf_counter() - start)


@dataclass(frozen=True)
class _Turn:
    """One round: trust (n,), who is trusted (n,), what may be recalled, and the monitors."""

    trust: Floats
    trusted: Mask
    recall: Recall
    monitors: Round

    @property
    def kept(self) -> Mask:
        return self.trusted | self.recall.recalled


def diverted(
    evidence: Evidence,
    *,
    rounds: int = 2,
    least: int = 10,
    recall: bool | None = True,
    gate: bool = True,
    rng: np.random.Generator,
) -> TrustReport:
    """The dual loop on evidence alone; `recall=None` leaves it to how good the classifier is.

    Raises:
        HydrometerError: `rounds` is not from 1 to 3.
    """
    if not 1 <= rounds <= MOST_ROUNDS:
        raise HydrometerError(f"rounds is {rounds}; give 1 to {MOST_ROUNDS}")
    k, given = evidence.classes, evidence.given
    joint = confident_joint(given, evidence.probabilities)
    reason = harmless(joint, given, evidence.probabilities) if gate else ""
    if reason:
        return everything("tad", given, k, np.ones(len(given)), reason)
    believed = clean_classes(joint, HARMLESS)[given] & gate
    turns = _turns(evidence, believed, rounds, least, rng)
    mend, notes = mends(recall, given, evidence.probabilities)
    chosen = turns[-1]
    if chosen.kept.sum() < COLLAPSED * turns[0].kept.sum():
        chosen = turns[0]
        notes.append("trust shrank from round to round: the first one counts")
    suggested = chosen.recall.reliability.argmax(1)
    taken = admitted(chosen.recall, chosen.trusted, given, least, wanted=mend)
    return compose(
        "tad",
        given,
        chosen.trust,
        chosen.trusted,
        suggested,
        taken,
        rounds=[turn.monitors for turn in turns],
        notes=notes,
    )


def _turns(
    evidence: Evidence, believed: Mask, rounds: int, least: int, rng: np.random.Generator
) -> list[_Turn]:
    turns = [_turn(evidence, evidence.losses, believed, least)]
    while len(turns) < rounds:
        last = turns[-1]
        targets = np.where(last.trusted, evidence.given, last.recall.reliability.argmax(1))
        weights = np.where(last.trusted, 1.0, last.recall.recalled * last.recall.reliability.max(1))
        probabilities = out_of_fold(
            evidence.features,
            evidence.given,
            evidence.classes,
            weights=weights,
            targets=targets,
            rng=rng,
        )
        # Against the given labels: a wrong new one would confirm itself.
        turns.append(_turn(evidence, given_loss(probabilities, evidence.given), believed, least))
        if (turns[-1].trusted != last.trusted).mean() < SETTLED:
            break
    return turns


def _turn(evidence: Evidence, losses: Floats, believed: Mask, least: int) -> _Turn:
    given, k = evidence.given, evidence.classes
    found = class_trust(losses, given, k)
    trusted = at_least(believed | (found.trust > CUT), found.trust, given, k, least)
    taken = anchors.recall(evidence.features, given, k, found.trust, trusted)
    monitors = Round(int(trusted.sum()), int(taken.recalled.sum()), found.separation, found.gain)
    return _Turn(found.trust, trusted, taken, monitors)
