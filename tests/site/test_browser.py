"""The site as a person meets it, in a real browser, from disk and without a network."""

import boards
import pytest

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
FAINT = """words => [...document.querySelectorAll(words)].filter(element => {
  if (!element.checkVisibility()) return false;
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = rgb => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
  const read = text => text.match(/[\\d.]+/g).map(Number);
  let behind = element;
  while (behind && (c => c[3] === 0)(read(getComputedStyle(behind).backgroundColor)))
    behind = behind.parentElement;
  const [ink, paper] = [getComputedStyle(element), getComputedStyle(behind ?? document.body)];
  const two = [ink.color, paper.backgroundColor].map(c => light(read(c))).sort((a, b) => b - a);
  return (two[0] + 0.05) / (two[1] + 0.05) < 4.5;
}).map(e => e.outerHTML)"""


@pytest.fixture
def board(write, opened):
    return opened(write() / "index.html")


@pytest.fixture
def long(write, opened):
    """A board whose table shows no more than two rows at first."""
    path = write() / "index.html"
    path.write_text(path.read_text().replace('<table id="rows"', '<table id="rows" data-most="2"'))
    return opened(path)


def sort_of(page, key):
    return page.locator(f'#rows th[data-key="{key}"]').get_attribute("aria-sort")


def press(page, key):
    page.locator(f'#rows th[data-key="{key}"] button').click()


def test_nothing_is_asked_of_the_network_and_nothing_goes_wrong(write, opened):
    site = write()
    for path in (site / "index.html", *(site / "rows").iterdir()):
        page = opened(path)
        assert page.evaluate("getComputedStyle(document.body).margin") == "0px", "no style sheet"
        assert all(url.startswith("file://") for url in page.requests)
        assert page.complaints == []
        if path.parent != site:
            assert page.evaluate(
                "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
            )


def test_ties_are_seen_and_no_rank_crosses_source_protocol_or_budget(board):
    ranks = dict(
        zip(board.methods(), board.locator("#rows .rank span").all_text_contents(), strict=True)
    )
    assert ranks == {
        "el2n(policy=easy)": "1=",
        "herding": "1",
        "random": "3",
        "dm": "1",
        "rded": "1",
    }
    assert board.locator("#rows tr.tied").count() == 2


def test_points_are_told_by_their_rows(board):
    press(board, "accuracy")
    for chart in board.locator(".group-of").all():
        chart.locator("svg").first.hover()
    said = board.locator("[data-row] title").all_text_contents()
    assert len(said) == 2 * 6
    assert said.count("herding 80.0 [78.0, 82.0] n = 5") == 2


def test_a_press_sorts_and_says_so_and_another_turns_it_round(board):
    press(board, "accuracy")
    assert board.methods() == ["herding", "el2n(policy=easy)", "herding", "rded", "dm", "random"]
    assert (sort_of(board, "accuracy"), sort_of(board, "rank")) == ("descending", None)
    assert board.locator("#status").text_content() == "6 of 6 entries, by accuracy, %, descending."
    press(board, "accuracy")
    assert board.methods()[0] == "random"
    assert sort_of(board, "accuracy") == "ascending"
    press(board, "stored")
    assert sort_of(board, "stored") == "ascending"
    assert board.methods()[-1] == "herding"


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("source", "other", {"dm"}),
        ("budget", "10 per class", {"herding"}),
        ("protocol", "ddranking-soft-quick@1", {"rded"}),
        ("labels", "soft labels, by a teacher", {"rded"}),
    ],
)
def test_each_filter_leaves_what_it_names(board, name, value, left):
    board.locator(f"select[name={name}]").select_option(label=value)
    assert set(board.methods()) == left
    assert board.locator("#status").text_content().startswith("1 of 6")
    shown = board.locator(".group-of:visible").count()
    assert shown == 1
    board.locator("button[type=reset]").click()
    # Not wait_for_function: it polls through eval, which the page's own policy forbids.
    board.locator("#rows tbody tr:not([hidden])").nth(5).wait_for()


def test_words_find_rows_and_finding_none_is_said(board):
    board.locator("input[name=text]").fill("HERD per class")
    assert board.methods() == ["herding", "herding"]
    board.locator("input[name=text]").fill("nothing like it")
    assert board.methods() == []
    board.locator("#clear").click()
    # Not wait_for_function: it polls through eval, which the page's own policy forbids.
    board.locator("#rows tbody tr:not([hidden])").nth(5).wait_for()


def test_a_long_table_shows_its_first_rows_until_asked_for_all(long):
    press(long, "accuracy")
    seen = long.locator("#rows tbody tr:visible th a")
    assert seen.all_text_contents() == ["herding", "el2n(policy=easy)"]
    assert long.locator("#status").text_content().endswith("the first 2 of them shown.")
    long.get_by_role("button", name="Show all 6 entries").click()
    assert seen.count() == 6
    assert not long.locator("#more").is_visible()
    assert long.evaluate("document.activeElement.textContent") == "herding"


def test_paper_gets_all_rows_of_a_long_table(long):
    long.emulate_media(media="print")
    assert long.locator("#rows tbody tr:visible").count() == 6


def test_a_view_has_an_address_of_its_own(board, opened):
    board.locator("select[name=source]").select_option(label="tiny")
    press(board, "accuracy")
    again = opened(board.url)
    assert again.methods() == board.methods()
    assert sort_of(again, "accuracy") == "descending"


def test_everything_works_by_keyboard(board):
    board.keyboard.press("Tab")
    focus = "document.activeElement.textContent"
    assert board.evaluate(focus) == "Skip to the leaderboard"
    assert board.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    board.keyboard.press("Enter")
    assert board.evaluate("document.activeElement.id") == "board"
    for _ in range(30):
        board.keyboard.press("Tab")
        if board.evaluate(focus).startswith("Accuracy"):
            break
    assert board.evaluate("document.activeElement.tagName") == "BUTTON"
    assert board.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    board.keyboard.press("Enter")
    assert sort_of(board, "accuracy") == "descending"
    board.keyboard.press("Space")
    assert sort_of(board, "accuracy") == "ascending"
    board.locator("#rows tbody th a").first.focus()
    board.keyboard.press("Enter")
    board.wait_for_url("**/rows/*.html")
    assert board.locator("h1").text_content() == "random"


def test_what_a_screen_reader_needs_is_there(write, opened):
    site = write()
    for path in (site / "index.html", next((site / "rows").iterdir())):
        page = opened(path)
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.evaluate(
            "[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent)"
        )
        assert page.evaluate("[...document.querySelectorAll('th')].every(t => t.scope)")
        assert page.evaluate("[...document.images].every(i => i.alt)")
        assert page.evaluate(
            "[...document.querySelectorAll('svg')].every(s => s.ariaLabel || s.ariaHidden)"
        )
        assert page.evaluate(
            "[...document.querySelectorAll('input, select')].every(e => e.labels.length === 1)"
        )
        assert page.locator("h1").count() == page.locator("main").count() == 1
        assert page.locator("[tabindex='0']:not([aria-label])").count() == 0
    board = opened(site / "index.html")
    assert board.get_by_role("columnheader", name="Accuracy, %").count() == 1
    assert board.get_by_role("status").text_content().startswith("6 of 6")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(write, opened, scheme):
    site = write()
    for path in (site / "index.html", next((site / "rows").iterdir())):
        page = opened(path, color_scheme=scheme, viewport=WIDE)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 150) is (scheme == "dark")
        words = "h1, h2, p, a, th, td b, td i, .about, .best, label, button, dt, dd, summary"
        assert page.evaluate(FAINT, words) == []


@pytest.mark.parametrize("viewport", [PHONE, {"width": 320, "height": 600}, WIDE])
def test_no_page_is_wider_than_its_window(write, opened, viewport):
    wordy = boards.entry("a" * 90, 0.55, protocol=f"ddranking-hard@1{{{'x' * 60}=1}}")
    site = write([*boards.several(), wordy])
    for path in (site / "index.html", *(site / "rows").iterdir()):
        page = opened(path, viewport=viewport)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path.name


def test_a_phone_shows_value_interval_and_n(write, opened):
    page = opened(write() / "index.html", viewport=PHONE)
    row = page.locator("#rows tbody tr").first
    for word in ("70.2", "[68.2, 72.2]", "n = 5"):
        assert page.locator("#rows tbody tr", has_text="el2n").get_by_text(word).is_visible(), word
    assert row.locator("th a").bounding_box()["width"] > 0


def test_paper_shows_the_table_without_its_controls(write, opened):
    more = {name: boards.estimate(-0.123) for name in ("hlr", "lrs")}
    wide = [e.model_copy(update={"estimates": {**e.estimates, **more}}) for e in boards.several()]
    page = opened(write(wide) / "index.html", viewport={"width": 720, "height": 1000})
    page.emulate_media(media="print")
    assert not page.locator("#controls").is_visible()
    assert page.locator("#rows td.more").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    assert page.pdf()[:4] == b"%PDF"


def test_text_from_data_stays_text(write, opened):
    hostile = boards.entry(
        boards.HOSTILE, 0.5, source=boards.HOSTILE, budget=boards.HOSTILE, digest="../../x",
        protocol=f"p@1{{{boards.HOSTILE}}}", classes=(boards.HOSTILE, "dog"),
        labels=boards.HOSTILE, notices=(boards.HOSTILE,),
    )  # fmt: skip
    site = write([hostile, *boards.several()], title=boards.HOSTILE, command=boards.HOSTILE)
    (row,) = [p for p in (site / "rows").iterdir() if "p@1" in p.read_text("utf-8")]
    for path in (site / "index.html", row):
        page = opened(path)
        assert page.complaints == []
        assert "pwned" not in page.title()[:5]
        assert page.locator("img[src=x], [onerror], body script:not(:last-child)").count() == 0
        assert boards.HOSTILE in page.locator("body").inner_text()
    page = opened(site / "index.html")
    page.locator("select[name=source]").select_option(label=boards.HOSTILE)
    assert page.methods() == [boards.HOSTILE]
    page.locator("#rows tbody tr:visible th a").click()
    assert page.locator("h1").text_content() == boards.HOSTILE
    assert page.locator(".sheet img").evaluate("i => i.naturalWidth") > 0


def test_without_javascript_the_table_is_whole(write, opened):
    page = opened(write() / "index.html", java_script_enabled=False)
    assert len(page.methods()) == 6
    assert not page.locator("#controls").is_visible()
