import sys

import pytest

from hydrometer import registry
from hydrometer.types import HydrometerError, Spec


@pytest.mark.parametrize(
    "text",
    [
        *("dsa", "sgd(momentum=0.9)", "convnet(depth=3,norm=instance,width=128)"),
        *("x(a=None,b=True)", "pca(factor=2,prune=el2n(epochs=4,runs=2))"),
        *("a(b=c(d=e(f=1,g=2),h=3),i=4)", "a(b=c(d=1),e=f(g=2,h=3))"),
    ],
)
def test_specs_read_back(text):
    assert str(registry.parse(text)) == text


def test_a_spec_inside_a_spec_keeps_its_commas():
    inner = registry.parse("pca(prune=el2n(epochs=4,runs=2),factor=2)").kwargs
    assert inner == {"factor": 2, "prune": "el2n(epochs=4,runs=2)"}
    deep = registry.parse("pca(prune=el2n(epochs=4,student=net(depth=3,width=32)),factor=2)").kwargs
    assert deep == {"factor": 2, "prune": "el2n(epochs=4,student=net(depth=3,width=32))"}
    assert registry.parse("a(b=c(d=e(f=1,g=2),h=3),i=4)").kwargs == {
        "b": "c(d=e(f=1,g=2),h=3)",
        "i": 4,
    }


@pytest.mark.parametrize(
    "text", ["", "3x", "a(b)", "a(=1)", "a(b=1", "a b", "a(b=c(d=1)", "a(b=c))", "a(x=1)b(y=2)"]
)
def test_unreadable_specs_are_refused(text):
    with pytest.raises(HydrometerError, match="cannot read"):
        registry.parse(text)


def test_arguments_are_given_once():
    with pytest.raises(HydrometerError, match="gives x twice"):
        registry.parse("a(x=1,x=2)")


def test_truth_is_read_in_lower_case_too():
    assert registry.parse("a(b=true,c=false,d=True)").kwargs == {"b": True, "c": False, "d": True}


def test_absurd_values_stay_text():
    assert registry.parse("a(x=" + "-" * 100_000 + "1)").kwargs["x"].startswith("---")


def test_unknown_names_offer_the_nearest():
    with pytest.raises(HydrometerError, match="did you mean 'cutmix'"):
        registry.get("augmentation", "cutmx")


def test_wrong_arguments_name_the_right_ones():
    with pytest.raises(HydrometerError, match="takes: beta1, beta2, eps, weight_decay"):
        registry.build("optimiser", Spec("adam", (("momentum", 0.9),)))


@pytest.mark.parametrize("kind", sorted(registry.PACKAGES))
def test_every_kind_has_plugins_and_every_plugin_says_what_it_is(kind):
    found = registry.names(kind)
    assert found
    for name in found:
        plugin = registry.get(kind, name)
        assert getattr(plugin, "about", None) or plugin.__doc__, name


def test_a_file_of_plugins_joins(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from hydrometer.registry import register\n"
        "@register('schedule')\ndef my_own():\n    'Mine.'\n    return lambda at: 0.5\n"
    )
    registry.use(path)
    assert "my-own" in registry.names("schedule")
    assert registry.build("schedule", Spec("my-own"))(None) == 0.5
    registry._found["schedule"].pop("my-own")


@pytest.mark.parametrize("known", [False, True])
def test_a_taken_name_is_refused_whoever_came_first(tmp_path, known, monkeypatch):
    found = dict(registry._found["method"])
    if not known:
        found.pop("random", None)
        monkeypatch.delitem(sys.modules, "hydrometer.methods.select.random", raising=False)
    monkeypatch.setitem(registry._found, "method", found)
    path = tmp_path / "mine.py"
    path.write_text(
        "from hydrometer.registry import register\n@register('method')\ndef random():\n    'Mine.'\n"
    )
    with pytest.raises(HydrometerError, match="method 'random' is taken by hydrometer"):
        registry.use(path)
    assert registry.get("method", "random").__module__.startswith("hydrometer.")


def test_the_same_file_may_be_used_twice(tmp_path):
    path = tmp_path / "twice.py"
    path.write_text(
        "from hydrometer.registry import register\n@register('loss')\ndef twice():\n    'Mine.'\n"
    )
    registry.use(path)
    registry.use(path)
    registry._found["loss"].pop("twice")


def test_a_broken_file_of_plugins_is_one_sentence(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    with pytest.raises(HydrometerError, match="division by zero"):
        registry.use(path)


def test_lists_keep_commas_inside_braces_and_brackets():
    assert registry.listed("a@1{x=1,y=b(c=1,d=2)}, b@1") == ["a@1{x=1,y=b(c=1,d=2)}", "b@1"]
    assert registry.listed("a(x=c(d=1,e=2),y=f(g=3)),,b ") == ["a(x=c(d=1,e=2),y=f(g=3))", "b"]
    assert registry.listed(" ") == []
