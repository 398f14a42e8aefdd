"""Trials that a process has reserved in a store that it shares with others."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable

from hydrometer.store import Store

LEASE_SECONDS = 600.0
"""How long a claim on a trial holds if nobody renews it: a machine may have died."""
RENEW_SECONDS = 60.0


class Claims:
    """The claims of this process, renewed as long as it says so and given back at the end."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
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
        self._free_if_dead(key)
        return self.store.claim(key, self.owner, LEASE_SECONDS)

    def _free_if_dead(self, key: str) -> None:
        """Release a claim whose process was on this machine and is no more."""
        owner = self.store.claimant(key) or ""
        host, _, pid = owner.rpartition(":")
        if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
            return
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            self.store.release(key, owner)
        except PermissionError:
            return
