import math

import pytest
import torch
from torch.nn import functional as F

import tiny
from hydrometer.engine.loop import Cohort
from hydrometer.engine.optimisers import Climber
from hydrometer.engine.program import directions
from hydrometer.engine.shared import Shared
from hydrometer.registry import build, parse
from hydrometer.types import HydrometerError

SOURCE = tiny.source()
SPEC = "gsam(alpha=0.5,rho=0.5,momentum=0.0,weight_decay=0.0)"


def slope(params):
    """The gradient of (w² + 4 v²) / 2."""
    return [params[0].clone(), 4 * params[1]]


def step(spec, *, stacked=False):
    """One step of rate 0.1 on that bowl from w = 3, v = 1; where it ends, and where gradients were."""
    params = [torch.tensor([3.0]), torch.tensor([1.0])]
    if stacked:
        params = [torch.stack([p, p / 2]) for p in params]
    seen = []
    optimiser = build("optimiser", parse(spec))
    optimiser.start(params, [False, False])

    def above():
        seen.append([p.clone() for p in params])
        return torch.zeros(()), slope(params)

    rate = torch.tensor([0.1, 0.1]) if stacked else 0.1
    along = directions(optimiser, params, slope(params), rate, above)
    optimiser.step(params, along, rate)
    return params, seen


def test_sam_climbs_and_steps_as_computed_by_hand():
    """g = (3, 4), ‖g‖ = 5, ε = 0.5 (0.6, 0.8), g' = (3.3, 5.6)."""
    found, (above,) = step(SPEC.replace("alpha=0.5", "alpha=0.0,adaptive=False"))
    torch.testing.assert_close(torch.cat(above), torch.tensor([3.3, 1.4]))
    torch.testing.assert_close(torch.cat(found), torch.tensor([3 - 0.33, 1 - 0.56]))


def test_gsam_takes_back_what_lies_across():
    """⟨g, g'⟩ / ‖g'‖² = 32.3 / 42.25, g⊥ = g − that g', and the step is along g' − g⊥ / 2."""
    found, _ = step(SPEC.replace("rho", "adaptive=False,rho"))
    share = 32.3 / 42.25
    across = [3 - share * 3.3, 4 - share * 5.6]
    assert 3.3 * across[0] + 5.6 * across[1] == pytest.approx(0, abs=1e-12)
    wanted = [3 - 0.1 * (3.3 - across[0] / 2), 1 - 0.1 * (5.6 - across[1] / 2)]
    torch.testing.assert_close(torch.cat(found), torch.tensor(wanted))


def test_the_adaptive_climb_scales_with_the_weights():
    """ε = ρ θ² g / ‖θ g‖ = 0.5 (27, 4) / √(9² + 4²)."""
    _, (above,) = step(SPEC)
    norm = math.sqrt(97)
    wanted = torch.tensor([3 + 0.5 * 27 / norm, 1 + 0.5 * 4 / norm])
    torch.testing.assert_close(torch.cat(above), wanted)


def test_stacked_students_climb_each_by_its_own_norm():
    alone, _ = step(SPEC)
    found, (above,) = step(SPEC, stacked=True)
    for mine, one in zip(found, alone, strict=True):
        torch.testing.assert_close(mine[0], one)
    # At half the weights θ² g is an eighth, (27, 4) / 8, and its norm ‖θ g‖ a quarter.
    wanted = torch.tensor([1.5 + 0.5 * 13.5 / math.sqrt(97), 0.5 + 0.5 * 2 / math.sqrt(97)])
    torch.testing.assert_close(torch.stack([p[1] for p in above]).flatten(), wanted)


def trained(seeds, steps=3):
    """Weights of students after some steps, each (p,)."""
    how = tiny.recipe(optimiser=parse(SPEC), batch=5)
    jobs = [tiny.job(SOURCE, how, seed) for seed in seeds]
    lens, _ = tiny.lens_and_exams(SOURCE)
    cohort = Cohort(jobs, SOURCE, lens, ())
    program = cohort.program()
    batches, draws = cohort.batches(), cohort.draws(0, steps)
    seen = []
    for i in range(steps):
        images, target = cohort.view(next(batches), draws[:, i])
        seen.append((images, target.labels))
        program.step(images, target, [0.05] * len(seeds))
    return program, cohort, seen


def test_a_student_takes_the_steps_of_plain_autograd():
    program, cohort, seen = trained([0])
    model = cohort.program().model
    params = list(model.parameters())
    for images, labels in seen:

        def gradient(images=images, labels=labels):
            loss = F.cross_entropy(model(images[0]), labels[0])
            return torch.cat([g.flatten() for g in torch.autograd.grad(loss, params)])

        here, at = gradient(), torch.cat([p.detach().flatten() for p in params])
        climb = 0.5 * at**2 * here / (at * here).norm()
        torch.nn.utils.vector_to_parameters(at + climb, params)
        above = gradient()
        across = here - (here @ above) / (above @ above) * above
        torch.nn.utils.vector_to_parameters(at - 0.05 * (above - 0.5 * across), params)
    for mine, other in zip(program.params, params, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_a_cohort_takes_the_steps_of_its_students_alone():
    together = trained([0, 1])[0]
    for k in range(2):
        for mine, own in zip(together.params, trained([k])[0].params, strict=True):
            torch.testing.assert_close(mine[k], own, rtol=1e-3, atol=1e-5)


def test_only_climbers_look_at_a_second_point():
    assert not isinstance(build("optimiser", parse("sgd")), Climber)
    found, seen = step("sgd(momentum=0.0,weight_decay=0.0)")
    assert not seen
    torch.testing.assert_close(torch.cat(found), torch.tensor([2.7, 0.6]))


def test_several_processes_refuse_it():
    model = torch.nn.Linear(2, 2)
    with pytest.raises(HydrometerError, match="takes two gradients a step"):
        Shared(model, tiny.recipe(optimiser=parse(SPEC)), build("loss", parse("mse-gt")), tiny.CPU)
