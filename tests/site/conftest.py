import shutil

import boards
import pytest

from hydrometer.site import build

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium that may not use the network, or a skip that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def write(tmp_path):
    def built(entries=None, images=True, **more):
        entries = boards.several() if entries is None else entries
        sets = {e.set.digest: boards.images(e) for e in entries} if images else {}
        board = build.Board(entries, sets, more.pop("sheets", {}), more.pop("attributions", ()))
        told = {"title": "A board", "command": "hydrometer report board"} | more
        build.write(tmp_path / "site", board, **told)
        return tmp_path / "site"

    return built


class Watched:
    """A page, and all it asked for and complained about."""

    def __init__(self, page):
        self.page, self.requests, self.complaints = page, [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed {request.url}"))

    def __getattr__(self, name):
        return getattr(self.page, name)

    def methods(self):
        """Names of the rows that are shown, in order."""
        return self.page.locator("#rows tbody tr:visible th a").all_text_contents()


@pytest.fixture
def opened(chromium):
    """Open an address or a file in a page of its own."""
    contexts = []

    def build_page(address, **context):
        contexts.append(chromium.new_context(**{"offline": True} | context))
        contexts[-1].set_default_timeout(120_000)
        watched = Watched(contexts[-1].new_page())
        watched.page.goto(address if isinstance(address, str) else address.as_uri())
        return watched

    yield build_page
    for context in contexts:
        context.close()
