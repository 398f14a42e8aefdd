import torch
from scipy.spatial.distance import cdist

from hydrometer.methods.select.craig import cluster_sizes, distances, medoids
from hydrometer.methods.select.last_layer import gradients

GENERATOR = torch.Generator().manual_seed(0)
OWN = gradients(
    torch.randn(25, 6, generator=GENERATOR).double(),
    torch.randn(25, 3, generator=GENERATOR).double(),
    torch.zeros(25, dtype=torch.int64),
)
FLAT = torch.einsum("nk,nd->nkd", OWN.errors, OWN.inputs).flatten(1)
APART = cdist(FLAT, FLAT)


def test_distances_are_those_of_gradients_written_out():
    found = distances(OWN)(torch.arange(25))
    torch.testing.assert_close(found, torch.from_numpy(APART), atol=1e-6, rtol=1e-9)


def test_every_choice_lowers_the_sum_of_distances_most():
    order = medoids(OWN, 8).tolist()
    assert len(set(order)) == 8
    for k in range(8):
        # Two images nearest to each other tie, so sums are compared and not images.
        sums = [APART[[*order[:k], i]].min(0).sum() for i in range(25)]
        assert APART[order[: k + 1]].min(0).sum() <= min(sums) + 1e-6


def test_weights_count_the_nearest_images_and_nothing_more():
    chosen = medoids(OWN, 8)
    nearest = APART[:, chosen].argmin(1)
    found = cluster_sizes(OWN, chosen)
    assert found.tolist() == [int((nearest == i).sum()) for i in range(8)]
    assert found.sum() == 25


def test_twins_both_weigh_at_least_one():
    twins = OWN[torch.tensor([0, 0, 1, 0])]
    assert (cluster_sizes(twins, torch.arange(4)) == 1).all()
