"""The comparison of filters from the command line."""

import json

from hydrometer.protocols.noisy import REPLICATES

ASK = (
    "noisy", "-s", "digits+symmetric:0.4", "-m", "random", "--ipc", "2",
    "--trust", "oracle,cleanlab(features=pixels)",
    "--noise-seeds", "2", "--student", "convnet(depth=1,norm=instance,width=4)",
    "--set", "epochs=2", "--set", "rates=0.03", "--set", "seeds=2", "--set", "precision=float32",
)  # fmt: skip


def test_a_comparison_from_its_price_to_its_table(succeed, tmp_path):
    price = json.loads(succeed(*ASK, "--dry-run", "--json")[0])
    assert price["cells"] == 2 * 3 + 2 * 2
    assert not (tmp_path / "noisy").exists()
    out, err = succeed(*ASK)
    assert err.count("(ipc=2, seed ") == 10
    assert "no filter" in out and "oracle" in out and "on digits+symmetric:0.4" in out
    assert "cleanlab(features=pixels) gains" in out and "2 noise seeds" in out
    again, err = succeed(*ASK, "--json")
    assert "student" not in err
    found = json.loads(again)
    assert [arm["trust"] for arm in found["noisy"]] == [
        "none", "cleanlab(features=pixels)", "oracle",
    ]  # fmt: skip
    assert len(found["clean"]) == 2
    assert found["protocol"].startswith("noisy-quick@1{")


def test_what_cannot_be_compared_is_one_sentence(refused):
    assert "names no noise" in refused("noisy", "-s", "digits", "-m", "random", "--ipc", "1")
    said = refused("noisy", "-s", "digits+symmetric:0.4", "-m", "randem", "--ipc", "1")
    assert "did you mean 'random'" in said
    said = refused(*ASK[:7], "--trust", "tadd")
    assert "did you mean 'tad'" in said
    assert "epochs is given twice" in refused(*ASK, "--set", "epochs=3", "--dry-run")
    assert "student is given twice" in refused(*ASK, "--set", "student=mlp", "--dry-run")
    assert "asks for no image" in refused(*ASK[:6], "0", *ASK[7:], "--dry-run")
    tiny = ("--fraction", "1e-6", *ASK[7:], "--dry-run")
    assert "is no image of the" in refused(*ASK[:5], *tiny)
    assert "exactly one budget" in refused("noisy", "-s", "digits+symmetric:0.4", "-m", "random")


def test_a_dry_run_of_what_cannot_be_compared_leaves_as_the_real_run(run):
    words = (*ASK[:5], "--bytes", "1", *ASK[7:])
    code, out, _ = run(*words, "--dry-run")
    assert code == 1
    assert out.startswith("noisy, 10 cells: nothing to train\ncannot run random (bytes=1, seed 0)")
    assert run(*words, "-q")[0] == 1
    code, out, _ = run(*words, "--dry-run")
    assert code == 1
    assert "not tried again without --retry-failed: random (bytes=1, seed 0)" in out


def test_there_are_as_many_noise_seeds_as_intervals_need():
    assert REPLICATES == 5
