"""Contracts that plug-ins run against themselves, as pytest classes; they need pytest installed."""

from __future__ import annotations

import pytest

# Without it a broken promise would say "AssertionError" and nothing else.
pytest.register_assert_rewrite("hydrometer.testing.methods")
