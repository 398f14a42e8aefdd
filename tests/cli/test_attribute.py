import json

import pytest

QUICK = (
    "as-dc@1{batch=16,epochs=%d,precision=float32,rates=0.03,seeds=2,"
    "student=convnet(depth=2,norm=instance,width=8)}"
)


@pytest.fixture
def made(run):
    run("compress", "-s", "digits", "-m", "random", "--ipc", 1, "-o", "random.safetensors")
    return "random.safetensors"


def test_attribute_prints_a_table_a_sentence_and_a_page(run, made):
    words = ("attribute", made, "-s", "digits", "-p", QUICK % 2, "--reference", QUICK % 2)
    code, out, _ = run(*words, "--out", "a.html")
    assert code == 0
    assert "points" in out
    assert "come from the images" in out
    assert "labels left out" in out
    code, out, err = run(*words, "--json")
    assert json.loads(out)["fraction"] == "full"
    assert "all 4 students are stored" in err


def test_across_compares_rankings(run, made):
    names = f"{QUICK % 1},{QUICK % 2}"
    code, out, _ = run("attribute", made, made, "-s", "digits", "--across", names, "-q")
    assert code == 0
    assert "Kendall tau" in out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--fraction", "third"), "full, half, ladder"),
        (("--reference", "ddranking-hart@1"), "did you mean"),
        (("random.safetensors",), "--across"),
        (("--across", "as-dc@1"), "at least two"),
        (("--seeds", "3"), "seeds is given twice, as 2 and as 3"),
    ],
)
def test_mistakes_are_one_sentence(run, made, more, said):
    code, out, err = run("attribute", made, "-s", "digits", "-p", QUICK % 1, *more)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
