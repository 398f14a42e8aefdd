import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from PIL import Image

from hydrometer.report import exhibits, page, text
from hydrometer.types import HydrometerError

HOSTILE = '</script></style><script>document.title="pwned"</script><img src=x onerror="alert(1)">'


class Document(HTMLParser):
    """What a browser would see: elements with attributes, text, and the contents of scripts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words, self.scripts, self._inside = [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._inside != "style":
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def written(tmp_path):
    def build(verdicts, sets=(), runs=(), title="A title", command="hydrometer demo"):
        path = tmp_path / "report.html"
        found = {compressed.digest: compressed for compressed in sets}
        page.write(path, verdicts, found, runs, title=title, command=command)
        return Document(path.read_text("utf-8"))

    return build


def test_the_page_tells_the_verdict_as_the_terminal_does(written, make_verdict, make_set):
    verdict = make_verdict()
    document = written([verdict], [make_set()])
    assert text.sentence(verdict) in document.text
    for reading in text.row(verdict).readings:
        assert f"{reading.value} {reading.interval} n = {reading.n}" in document.text
    for fact in ("ddranking-hard-quick@1", "set-digest", "source-digest", "12.3 kB", "7.2 s",
                 "a note on the card", "hydrometer demo", "a device", "2 per class"):  # fmt: skip
        assert fact in document.text


def test_the_size_of_the_full_data_is_said_where_it_is_known(written, make_verdict, make_set):
    whole = make_set(classes=tuple("abc"), digest="whole-digest")
    assert "all 6 images" in written([make_verdict()], [make_set(), whole]).text


def test_images_are_inside_with_words_for_who_cannot_see_them(written, make_verdict, make_set):
    (image,) = written([make_verdict()], [make_set()]).all("img")
    head, _, data = image["src"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as sheet:
        assert sheet.format == "PNG"
    assert image["alt"].endswith("cat, dog")


def test_large_sheets_are_reduced(written, make_verdict, make_set, monkeypatch):
    wide = io.BytesIO()
    Image.new("RGB", (3000, 600)).save(wide, format="PNG")
    monkeypatch.setattr(exhibits.preview, "sheet", lambda *_, **__: wide.getvalue())
    (image,) = written([make_verdict()], [make_set()]).all("img")
    with Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))) as sheet:
        assert sheet.size == (1000, 200)


def test_a_set_that_is_not_at_hand_is_shown_by_its_card(written, make_verdict):
    document = written([make_verdict()])
    assert not document.all("img")
    assert "not at hand" in document.text


def test_only_equal_protocols_share_a_table(written, make_verdict, make_set):
    one, other = make_verdict(), make_verdict(protocol="ddranking-hard-quick@1{epochs=7}")
    captions = [a["aria-label"] for a in written([one, one, other], [make_set()]).all("div")
                if a.get("aria-label", "").startswith("Scores")]  # fmt: skip
    assert captions == [
        "Scores on tiny by ddranking-hard-quick@1",
        "Scores on tiny by ddranking-hard-quick@1{epochs=7}",
    ]


def test_a_metric_that_one_verdict_lacks_is_said_to_be_missing(written, make_verdict):
    less = {k: e for k, e in make_verdict().estimates.items() if k != "lrs"}
    assert "not measured" in written([make_verdict(), make_verdict(estimates=less)]).text


def test_tables_have_captions_and_scopes(written, make_verdict, make_set):
    document = written([make_verdict()], [make_set()])
    assert len(document.all("caption")) == len(document.all("table")) == 2
    assert all("scope" in heading for heading in document.all("th"))


def test_notices_are_shown_once(written, make_verdict):
    verdict = make_verdict(notices=("few seeds",))
    assert written([verdict, verdict]).text.count("few seeds") == 1
    assert "Before you trust" not in written([make_verdict()]).text


def test_runs_add_curves_recipes_and_the_student(written, make_verdict, make_run):
    without, with_runs = written([make_verdict()]), written([make_verdict()], runs=[make_run()])
    assert "Training loss" not in without.text
    assert "Training loss" in with_runs.text
    assert '{"lr":0.05,"student":"convnet(depth=2)"}' in with_runs.text
    assert "Student convnet(depth=2)" in with_runs.text


def test_nothing_measured_is_said(written):
    assert "Nothing has been measured yet" in written([]).text


def test_the_page_asks_the_network_for_nothing(written, make_verdict, make_set, make_run):
    document = written([make_verdict()], [make_set()], [make_run()])
    loaded = [a[k] for _, a in document.tags for k in ("src", "href") if k in a]
    assert loaded
    assert all(address.startswith(("data:image/png", "#")) for address in loaded)
    assert not document.all("link")
    assert policy(document)["default-src"] == ["'none'"]


def policy(document):
    (content,) = [a["content"] for a in document.all("meta") if "http-equiv" in a]
    return {name: values for name, *values in map(str.split, content.split(";"))}


def test_the_page_has_no_script_and_its_policy_allows_none(written, make_verdict):
    document = written([make_verdict()])
    assert not document.scripts
    assert policy(document)["script-src"] == ["'none'"]


@pytest.fixture
def hostile(make_verdict, make_set, make_run):
    """A page whose every text is an attack."""
    compressed = make_set(method=HOSTILE, classes=(HOSTILE, "dog"), budget=HOSTILE)
    verdict = make_verdict(
        compressed, protocol=f"p@1{{{HOSTILE}}}", source=HOSTILE, notices=(HOSTILE,)
    )
    run = make_run(recipe=f'{{"student":"{HOSTILE.replace(chr(34), chr(39))}"}}')
    return {"verdicts": [verdict], "sets": [compressed], "runs": [run], "title": HOSTILE,
            "command": HOSTILE}  # fmt: skip


def test_text_from_data_stays_text(written, hostile):
    document = written(**hostile)
    assert not document.scripts
    assert not [a for _, a in document.tags if any(name.startswith("on") for name in a)]
    assert len(document.all("img")) == 1
    assert HOSTILE in document.all("img")[0]["alt"]
    assert document.text.count(HOSTILE) >= 8


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_text_from_data_stays_text_in_a_browser(written, hostile, tmp_path):
    written(**hostile)
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
               f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000"]  # fmt: skip
    address = (tmp_path / "report.html").as_uri()
    seen = subprocess.run([*browser, address], capture_output=True, text=True, timeout=120).stdout
    title = re.search(r"<title>(.*?)</title>", seen, re.DOTALL)
    assert title is not None
    assert title[1].startswith("&lt;/script&gt;")


def test_the_same_arguments_give_the_same_bytes(tmp_path, make_verdict, make_set, make_run):
    for name in ("one", "two"):
        sets = {"set-digest": make_set()}
        page.write(tmp_path / name, [make_verdict()], sets, [make_run()], title="t", command="c")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_place_that_cannot_be_written_is_the_user_s_mistake(tmp_path, make_verdict):
    (tmp_path / "taken").mkdir()
    with pytest.raises(HydrometerError, match="taken"):
        page.write(tmp_path / "taken", [make_verdict()], {}, title="t", command="c")
    with pytest.raises(HydrometerError, match="nowhere"):
        page.write(tmp_path / "nowhere" / "r.html", [make_verdict()], {}, title="t", command="c")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
