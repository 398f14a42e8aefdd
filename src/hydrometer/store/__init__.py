"""Runs and verdicts on disk: never lost once added, never counted twice."""

from hydrometer.store.sqlite import Store

__all__ = ["Store"]
