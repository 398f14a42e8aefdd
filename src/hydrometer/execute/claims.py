"""Trials that a process has reserved in a store that it shares with others."""

from __future__ import annotations

import time
from collections.abc import Iterable

from hydrometer.execute import owners
from hydrometer.store import Store

LEASE_SECONDS = 600.0
"""How long a claim on a trial holds if nobody renews it: a machine may have died."""
RENEW_SECONDS = 60.0


class Claims:
    """The claims of this process, renewed as long as it says so and given back at the end."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.owner = owners.this()
        self._held: set[str] = set()
        self._renewed = time.monotonic()

    def take(self, keys: Iterable[str]) -> list[str]:
        """Those keys that are now this process's: not done, and nobody else's who still lives."""
        mine = [key for key in keys if self._take(key)]
        self._held.update(mine)
        return mine

    def renew(self) -> None:
        """Extend all claims, if it is time."""
        if time.monotonic() - self._renewed > RENEW_SECONDS:
            self._renewed = time.monotonic()
            for key in self._held:
                self.store.claim(key, self.owner, LEASE_SECONDS)

    def release(self, keys: Iterable[str] | None = None) -> None:
        """Give back these claims, or all."""
        for key in list(self._held if keys is None else keys):
            self.store.release(key, self.owner)
            self._held.discard(key)

    def _take(self, key: str) -> bool:
        free_if_dead(key, self.store)
        return self.store.claim(key, self.owner, LEASE_SECONDS)


def free_if_dead(key: str, store: Store) -> None:
    """Release a claim whose process was on this machine and is no more."""
    owner = store.claimant(key)
    if owner is not None and owners.is_gone(owner):
        store.release(key, owner)
