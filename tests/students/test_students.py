import pytest
import torch
from torch import nn

from hydrometer import digest, registry, seeds, students
from hydrometer.types import HydrometerError, Spec

CANONICAL = {
    "convnet(depth=3,norm=instance,width=128)": [
        "convnet",
        "convnet-3",
        "ConvNet-3",
        "convnet3",
        "ConvNet-3-IN",
        "convnet()",
        "convnet(width=128)",
        "convnet(norm=in,depth=3.0)",
    ],
    "convnet(depth=3,norm=batch,width=128)": ["convnet-3-bn", "ConvNet-3-BN", "convnet(norm=BN)"],
    "convnet(depth=3,norm=group,width=128)": ["convnet-3-gn"],
    "convnet(depth=3,norm=none,width=128)": ["convnet-3-none", "convnet(norm=None)"],
    "convnet(depth=3,norm=batch,width=64)": ["convnet(depth=3,width=64,norm=batch)"],
    "resnet(depth=18,norm=batch)": ["resnet18", "ResNet-18", "ResNet-18-BN", "resnet"],
    "resnet(depth=50,norm=batch)": ["resnet-50"],
    "vgg(depth=11,norm=batch)": ["vgg11"],
    "vgg(depth=11,norm=instance)": ["vgg-11-in"],
    "alexnet": ["AlexNet"],
    "lenet": ["LeNet"],
    "mlp(width=128)": ["MLP"],
    "torchvision(model=mobilenet_v2)": ["torchvision:mobilenet_v2", "TorchVision:MobileNet_V2"],
    "timm(model=vit_tiny_patch16_224)": ["timm:vit_tiny_patch16_224"],
    "timm(model=resnet18)": ["timm:resnet18.a1_in1k"],
}
EXAMPLES = {"torchvision": "torchvision:resnet18", "timm": "timm:resnet18"}


def each_student():
    return [students.spec(EXAMPLES.get(name, name)) for name in registry.names("student")]


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("text", "canonical"), [(t, c) for c, texts in CANONICAL.items() for t in texts]
)
def test_every_spelling_of_a_student_has_one_spec(text, canonical):
    assert str(students.spec(text)) == canonical
    assert students.spec(canonical) == students.spec(text)


def test_spellings_share_a_digest_and_different_students_do_not():
    assert digest.of(students.spec("ConvNet-3")) == digest.of(students.spec("convnet(norm=in)"))
    assert len({digest.of(students.spec(c)) for c in CANONICAL}) == len(CANONICAL)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("convnett-3", "did you mean 'convnet'"),
        ("mobilenet_v2", "torchvision:MODEL"),
        ("resnet-51", "18, 34 or 50"),
        ("convnet(wdith=3)", "takes: depth, width, norm"),
        ("convnet(depth=x)", "depth='x'"),
        ("convnet(depth=0)", "greater than or equal to 1"),
        ("convnet(norm=layer)", "'instance', 'batch', 'group' or 'none'"),
        ("alexnet-5", "takes: no arguments"),
        ("torchvision", "missing a required argument: 'model'"),
        ("torchvision:", "model=''"),
        ("", "cannot read"),
    ],
)
def test_a_wrong_name_or_argument_is_explained(text, message):
    with pytest.raises(HydrometerError) as error:
        students.spec(text)
    assert message in str(error.value)


def test_building_checks_a_spec_that_was_not_read():
    with pytest.raises(HydrometerError, match="18, 34 or 50"):
        students.build(Spec("resnet", (("depth", 20),)), (3, 32, 32), 10)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 8, 8), "convnet-2"),
        ((3, 16, 16), "convnet-2"),
        ((1, 28, 28), "convnet-3"),
        ((3, 32, 32), "convnet-3"),
        ((3, 64, 64), "convnet-4"),
        ((3, 64, 100), "convnet-4"),
        ((3, 128, 128), "resnet-18"),
        ((3, 224, 224), "resnet-18"),
    ],
)
def test_the_default_student_follows_the_size_and_fits_it(shape, expected):
    spec = students.default_for(shape)
    assert spec == students.spec(expected)
    model = students.create(spec, shape, 3, 0).eval()
    assert model(torch.rand(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize("spec", each_student(), ids=str)
def test_weights_depend_on_the_key_alone(spec):
    shape = (3, 32, 32)
    first = students.create(spec, shape, 4, seeds.key(1, "init"))
    torch.rand(7)
    assert same_weights(first, students.create(spec, shape, 4, seeds.key(1, "init")))
    assert not same_weights(first, students.create(spec, shape, 4, seeds.key(2, "init")))


@pytest.mark.parametrize("spec", each_student(), ids=str)
def test_creating_leaves_global_random_state_alone(spec):
    before = torch.random.get_rng_state()
    students.create(spec, (3, 32, 32), 4, 3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_creating_seeds_no_accelerator(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("reseeded"))
    students.create(students.spec("mlp"), (1, 8, 8), 2, 3)


def test_a_student_is_made_on_the_cpu_whatever_the_default_device():
    with torch.device("meta"):
        model = students.create(students.spec("convnet-2"), (1, 8, 8), 2, 3)
    assert same_weights(model, students.create(students.spec("convnet-2"), (1, 8, 8), 2, 3))


@pytest.mark.parametrize("spec", each_student(), ids=str)
def test_an_evaluated_image_does_not_see_its_neighbours(spec):
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    model = students.create(spec, (3, 32, 32), 5, 1).double().eval()
    with torch.no_grad():
        together = model(images)
        alone = torch.cat([model(image[None]) for image in images])
    assert together.shape == (3, 5)
    assert together.isfinite().all()
    assert (together[0] - together[1]).abs().max() > 1e-6
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("spec", each_student(), ids=str)
def test_every_student_takes_greyscale_of_28_pixels_and_learns_from_it(spec):
    model = students.create(spec, (1, 28, 28), 5, 1)
    model(torch.rand(3, 1, 28, 28)).logsumexp(1).sum().backward()
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("spec", each_student(), ids=str)
def test_features_feed_the_last_layer(spec):
    model = students.create(spec, (3, 32, 32), 5, 1).eval()
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    features, logits = students.features(model, images)
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    torch.testing.assert_close(last(features), logits)
    torch.testing.assert_close(model(images), logits)
    features.sum().backward()
    assert images.grad is not None
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_features_of_a_network_without_a_linear_layer_are_refused():
    with pytest.raises(HydrometerError, match="no linear layer"):
        students.features(nn.Flatten(), torch.rand(2, 3, 4, 4))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(4, classes + 1)),
            r"\(2, 4\)",
        ),
        (lambda shape, classes: nn.Identity(), r"\(2, 1, 2, 2\)"),
        (lambda shape, classes: None, "NoneType, not an nn.Module"),
    ],
)
def test_a_student_that_does_not_fit_is_refused(monkeypatch, made, message):
    monkeypatch.setitem(registry._found["student"], "misfit", made)
    with pytest.raises(HydrometerError, match=message):
        students.create(Spec("misfit"), (1, 2, 2), 3, 0)


def test_an_outside_student_is_read_by_its_own_signature(monkeypatch):
    def stub(shape, classes, width: int = 2, slope: float = 1):
        return nn.Linear(width, classes)

    monkeypatch.setitem(registry._found["student"], "stub", stub)
    assert students.spec("stub(width=4)") == Spec("stub", (("slope", 1.0), ("width", 4)))
    assert students.build(Spec("stub"), (1, 2, 2), 3).out_features == 3
