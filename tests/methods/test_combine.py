import itertools

import pytest
import torch

import tiny
from hydrometer.methods.stitch.combine import group, sources_needed, tiles_a_side
from hydrometer.types import HydrometerError


@pytest.mark.parametrize("grouping", ["consecutive", "strided", "diverse"])
@pytest.mark.parametrize(("factor", "count"), [(1, 5), (2, 3), (3, 2), (2, 0)])
def test_every_source_is_in_exactly_one_composite(grouping, factor, count):
    points = torch.randn(count * factor**2, 4, generator=torch.Generator().manual_seed(0))
    rows = group(points, factor, grouping)
    assert rows.shape == (count, factor**2)
    assert sorted(rows.flatten().tolist()) == list(range(count * factor**2))


def test_consecutive_ranks_share_a_composite_and_strided_ones_do_not():
    points = torch.zeros(12, 1)
    assert group(points, 2, "consecutive")[0].tolist() == [0, 1, 2, 3]
    assert group(points, 2, "strided")[0].tolist() == [0, 3, 6, 9]


def spread(points, rows):
    """Mean distance between members of a group."""
    pairs = list(itertools.combinations(range(rows.shape[1]), 2))
    return sum((points[r[a]] - points[r[b]]).norm() for r in rows for a, b in pairs) / len(rows)


def test_diverse_groups_hold_one_of_each_cluster():
    clusters = torch.arange(4).repeat_interleave(5)
    points = clusters[:, None] * torch.tensor([[10.0, 3.0]]) + torch.linspace(0, 1, 20)[:, None]
    rows = group(points, 2, "diverse")
    within = spread(points, rows)
    assert within > 1.5 * spread(points, group(points, 2, "consecutive"))
    assert len(set(clusters[rows[0]].tolist())) == 4


def test_a_growing_group_takes_the_free_point_farthest_from_its_nearest_member():
    points = torch.tensor([[0.0], [1.0], [5.0], [9.0]])
    assert group(points, 2, "diverse").tolist() == [[0, 3, 2, 1]]


def test_duplicates_are_grouped_in_order():
    assert group(torch.zeros(8, 2), 2, "diverse").tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_an_unknown_grouping_is_named():
    with pytest.raises(HydrometerError, match="'random' is unknown; known: consecutive"):
        group(torch.zeros(4, 1), 2, "random")


def test_the_default_factor_depends_on_the_size():
    assert tiles_a_side(0, tiny.source(size=64)) == 1
    assert tiles_a_side(0, tiny.source(size=66)) == 2
    assert tiles_a_side(3, tiny.source(size=8)) == 3


@pytest.mark.parametrize("factor", [-1, 9])
def test_impossible_factors_are_refused(factor):
    with pytest.raises(HydrometerError, match="1 to 8"):
        tiles_a_side(factor, tiny.source(size=8))


def test_more_sources_than_a_class_holds_is_an_error_that_names_it():
    source = tiny.source(per_class=20)
    assert sources_needed(source, [5, 0, 2], 2) == [20, 0, 8]
    with pytest.raises(
        HydrometerError, match="6 composites of 2 x 2 need 24 images of class 'bar 1'"
    ):
        sources_needed(source, [5, 6, 0], 2)
