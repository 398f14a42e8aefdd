"""The estimators on real images under noise: tens of seconds, most of it training."""

import pytest

from hydrometer.methods import trust
from hydrometer.methods.trust.quality import quality
from hydrometer.registry import parse
from hydrometer.sources import load


@pytest.mark.parametrize("name", ["tad", "cleanlab", "combined"])
@pytest.mark.parametrize(
    ("noise", "given"), [("symmetric:0.4", 0.6), ("asymmetric:0.4", 0.8)], ids=["sym", "asym"]
)
def test_what_is_kept_is_cleaner_and_no_class_is_lost(name, noise, given):
    source = load(f"digits+{noise}")
    found = quality(trust.estimate(source, parse(name)), source)
    assert found.precision > given + 0.05
    assert found.coverage > 0.7
    assert found.least_coverage > 0.3


@pytest.mark.parametrize("name", ["tad", "cleanlab", "combined"])
def test_clean_digits_are_kept(name):
    found = trust.estimate(load("digits"), parse(name))
    assert found.keep.all() and "all are kept" in found.notes[0]
