import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from hydrometer.methods.select.graph_cut import cut

POINTS = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("representation", [0.0, 1.0, 2.0, 5.0])
def test_every_choice_raises_the_objective_most(representation):
    table = (1 + cosine_similarity(POINTS)) / 2

    def worth(kept):
        inside = table[kept][:, kept].sum()
        return representation * table[:, kept].sum() - inside

    chosen = []
    while len(chosen) < 10:
        left = [i for i in range(20) if i not in chosen]
        chosen.append(max(left, key=lambda i: worth([*chosen, i])))
    if representation:
        assert cut(POINTS, 10, representation).tolist() == chosen
    else:
        # Without the first sum all images start equal, up to rounding.
        assert worth(cut(POINTS, 10, 0.0).tolist()) <= 0
