"""Which verdicts are one and the same, however often they were reached."""

from __future__ import annotations

from collections.abc import Iterable

from hydrometer.types import Card, Verdict

Identity = tuple[str, str, str, str, str, int | None]


def identity(protocol: str, set_digest: str, source_digest: str, card: Card) -> Identity:
    """What two verdicts share that differ only in when and how fast they were reached."""
    return protocol, set_digest, source_digest, card.title, card.budget, card.seed


def identity_of(verdict: Verdict) -> Identity:
    """The identity of a verdict."""
    return identity(verdict.protocol, verdict.set_digest, verdict.source_digest, verdict.card)


def told(verdict: Verdict) -> tuple[Identity, str]:
    """Identity of a verdict, and what its card says of trust, which estimators may come to change."""
    return identity_of(verdict), trusting(verdict.card)


def trusting(card: Card) -> str:
    """What a card says of trust but for the time it took, as JSON."""
    return card.trust.model_dump_json(exclude={"seconds"}) if card.trust else ""


def latest(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The last verdict of each identity, in the order in which the first of each came."""
    return list({identity_of(verdict): verdict for verdict in verdicts}.values())
