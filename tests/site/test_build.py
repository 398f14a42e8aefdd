import html
import re

import boards
import pytest

from hydrometer.attribute.attribution import Attribution, Part
from hydrometer.site import build, rows
from hydrometer.types import HydrometerError


def page_of(site, method):
    (found,) = [p for p in (site / "rows").iterdir() if f"-{method}-" in p.name]
    return found.read_text("utf-8")


def test_ranks_are_those_of_equal_source_protocol_and_budget():
    found = {(r.entry.card.method, r.entry.card.budget): r for r in rows.rows(boards.several())}
    herding = found["herding", "ipc=1"]
    assert (herding.rank, herding.among, herding.place.tied) == ("1=", 3, True)
    assert found["random", "ipc=1"].rank == "3"
    assert found["herding", "ipc=10"].among == found["rded", "ipc=1"].among == 1


def test_neighbouring_groups_of_ties_look_different():
    zigzag = (0.02, -0.02, 0.0, 0.02, -0.02)
    pairs = [("a", 0.8), ("c", 0.5)]
    tied = [boards.entry(f"{name}{i}", mean + 0.001 * i, spread=(boards.SPREAD, zigzag)[i])
            for name, mean in pairs for i in range(2)]  # fmt: skip
    found = rows.rows(tied)
    assert [row.rank for row in found] == ["1=", "1=", "3=", "3="]
    assert [row.odd for row in found] == [True, True, False, False]


def test_a_row_says_its_regime_cost_and_levels():
    (row,) = rows.rows([boards.entry(labels="teacher")])
    assert row.regime == "soft labels, by a teacher"
    assert row.seconds == pytest.approx(2.0 + 1.5)
    assert (row.level("random"), row.level("full")) == (pytest.approx(0.4), pytest.approx(0.9))


def test_entries_of_other_seeds_are_ranked_apart():
    other = boards.entry("dm", 0.6)
    four = tuple(a.model_copy(update={"seeds": (9, 8, 7, 6, 5)}) for a in other.arms)
    found = rows.rows([boards.entry(), other.model_copy(update={"arms": four})])
    assert [row.among for row in found] == [1, 1]


def test_an_entry_of_version_1_has_no_compute_and_no_curves(write):
    old = boards.entry("herding")
    bare = {"steps": 0, "seconds": 0.0, "losses": ()}
    old = old.model_copy(update={"runs": tuple(r.model_copy(update=bare) for r in old.runs)})
    site = write([old])
    assert "against compute" not in (site / "index.html").read_text()
    assert "Training loss" not in page_of(site, "herding")
    assert "Test accuracy by class" in page_of(site, "herding")


def test_what_an_imported_set_took_is_unknown(write):
    made = boards.entry("dm")
    foreign = made.card.model_copy(
        update={"method": "import(format=pt-pair,space=pixel)", "seconds": 0.0}
    )
    brought = made.model_copy(update={"card": foreign})
    assert rows.rows([brought])[0].seconds is None
    site = write([brought])
    index = html.unescape((site / "index.html").read_text("utf-8"))
    assert re.search(r'class="cost" data-v="">unknown<', index)
    page = next((site / "rows").iterdir()).read_text("utf-8")
    for fact in ("Made in", "Set and one student"):
        assert re.search(rf"<dt>{fact}</dt>\s*<dd>unknown</dd>", page)


def test_every_row_has_a_page_with_card_recipe_commands_and_images(write, tmp_path):
    page = page_of(write(images=True), "dm")
    for fact in ("a shelf", "2.0 s", "4.0 kB", "Training loss", "Test accuracy by class",
                 "n = 5", "hydrometer evaluate",
                 "hydrometer compress --source other --method dm --ipc 1 --seed 0",
                 "hydrometer board verify board/"):  # fmt: skip
        assert fact in page, fact
    recipe, *_ = re.findall(r'href="../recipes/(\w+.json)"', page)
    assert '"student": "convnet"' in (tmp_path / "site" / "recipes" / recipe).read_text()
    assert re.search(r'<img src="../sets/\w+\.png" alt="Up to 10 images of each class', page)


def test_contact_sheets_beside_the_entries_stand_in_for_sets(write):
    entry = boards.entry()
    site = write([entry], images=False, sheets={entry.set.digest: b"\x89PNG kept", "other": b""})
    assert [p.read_bytes() for p in (site / "sets").iterdir()] == [b"\x89PNG kept"]
    assert "not at hand" in page_of(write([entry], images=False), "random")


def test_an_attribution_is_shown_with_its_set_alone(write):
    one, other = boards.entry("herding"), boards.entry("dm")
    found = Attribution(
        protocol="rd3-quick@1", fraction="ladder", set_digest=one.set.digest, source=one.source,
        source_digest=one.source_digest, card=one.card, off=boards.estimate(0.4),
        on=boards.estimate(0.7), total=boards.estimate(0.3), arms=one.arms, seconds=1.0,
        parts=(Part(factors=("images",), share=boards.estimate(0.1)),
               Part(factors=("labels",), share=boards.estimate(0.2))), environment=boards.PLACE,
    )  # fmt: skip
    site = write([one, other], attributions=[found])
    page = page_of(site, "herding")
    assert "Where the accuracy comes from" in page
    assert page.count("<rect") == 2 + 2
    assert "hydrometer attribute set.safetensors --source tiny --protocol rd3-quick@1" in page
    assert "Where the accuracy comes from" not in page_of(site, "dm")


def test_the_same_board_gives_the_same_bytes(write):
    def files():
        site = write()
        return {p.relative_to(site): p.read_bytes() for p in site.rglob("*") if p.is_file()}

    assert files() == files()


def test_an_earlier_site_is_replaced_whole(write, tmp_path):
    write()
    site = write([boards.entry("herding")])
    assert len([*(site / "rows").iterdir()]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


def test_a_folder_of_somebody_else_is_left_alone(write, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<p>mine")
    with pytest.raises(HydrometerError, match="other files"):
        write()
    assert (tmp_path / "site" / "index.html").read_text() == "<p>mine"
    with pytest.raises(HydrometerError, match="is a file"):
        build.write(tmp_path / "site" / "index.html", build.Board([boards.entry()], {}, {}),
                    title="t", command="c")  # fmt: skip


def test_nothing_to_show_and_nowhere_to_write_are_said(write, tmp_path):
    with pytest.raises(HydrometerError, match="no results"):
        write([])
    with pytest.raises(HydrometerError, match="nowhere"):
        build.write(tmp_path / "nowhere" / "s", build.Board([boards.entry()], {}, {}),
                    title="t", command="c")  # fmt: skip


def test_the_policy_of_a_row_allows_no_script(write):
    page = page_of(write(), "dm")
    assert "script-src 'none'" in html.unescape(page)
    assert "<script" not in page
