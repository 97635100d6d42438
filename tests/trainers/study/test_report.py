"""The report of a study: a self-contained page whose tables have the values of metrics.jsonl."""

import re
from html.parser import HTMLParser

import pytest
from skimage.io import imread

from trainers.runs.folder import read_metrics


class Page(HTMLParser):
    """Collects headings, table cells, images and players."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.images, self.players, self._open = [], [], [], []
        self.headings = []
        self.feed(text)
        self.cells, self.headings = ([words.strip() for words in found] for found in (self.cells, self.headings))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "img":
            self.images.append(values)
        elif tag == "audio":
            self.players.append(values)
        elif tag in ("td", "th"):
            self.cells.append("")
        elif tag in ("h2", "h3"):
            self.headings.append("")
        self._open.append(tag)

    def handle_data(self, data):
        for tag in reversed(self._open):
            if tag in ("td", "th"):
                self.cells[-1] += data
                return
            if tag in ("h2", "h3"):
                self.headings[-1] += data
                return
            if tag not in ("span", "data", "strong"):
                return


@pytest.fixture(scope="module")
def text(tiny_study):
    return (tiny_study / "report.html").read_text()


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_page_holds_all_it_needs(text, page):
    assert not re.findall(r"(?:src|href|srcset)=\"(?!data:)", text)
    assert all(image["src"].startswith("data:image/png") and image["alt"] for image in page.images)
    assert len(page.images) > 8
    assert len(page.players) == 7
    assert "synthetic" in text
    for heading in ("Setup", "How to read the results", "CREMA-D: Table 1", "Generation quality", "Learning curves"):
        assert heading in page.headings


def test_the_table_has_the_figures_of_the_summary(tiny_study, page):
    lines = [line for line in read_metrics(tiny_study) if line["stage"] == "summary"]
    gan = next(one for one in lines if (one["case"], one["recogniser"]) == ("progressive_supervised", "gan"))
    row = page.cells[page.cells.index("progressive supervised") :]
    assert row[1] == f"{100 * gan['mean']['accuracy']:.1f} ± {100 * gan['deviation']['accuracy']:.1f}"
    assert row[4] == f"{100 * gan['comparison']['difference']:+.1f} (no interval: 2 speakers) *"
    assert row[6] == f"{gan['mean']['fid']:.3g}"
    assert row[10:14] == ["53.71", "59.60", "2.31", "0.85"]


def test_quality_metrics_have_their_n(tiny_study, page):
    measured = [line for line in read_metrics(tiny_study) if line.get("name") == "fid_real_vs_real"]
    row = page.cells[page.cells.index("FID, real against real") :]
    assert row[1] == str(measured[0]["n"])


def test_the_amounts_of_data_are_stated(text):
    (line,) = re.findall("<li>test fold 0: (.+?)</li>", text)
    assert re.findall(r"(\d+) clips of (\d+) speakers", line) == [("18", "3"), ("6", "1"), ("6", "1")]


def test_the_other_tables_are_next_to_it(tiny_study):
    assert "| progressive supervised |" in (tiny_study / "table1.md").read_text()
    assert r"\begin{tabular}" in (tiny_study / "table1.tex").read_text()


_LOOK = """() => {
  document.querySelectorAll("details").forEach(part => { part.open = true; });
  return {
    images: document.images.length,
    broken: [...document.images].filter(image => !image.complete || image.naturalWidth == 0).length,
    players: document.querySelectorAll("audio").length,
    width: document.documentElement.scrollWidth,
  };
}"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_shows_it_without_a_complaint(tiny_study, page, browser, tmp_path, width):
    with browser((tiny_study / "report.html").as_uri(), width) as (shown, errors, _):
        found = shown.evaluate(_LOOK)
        shown.screenshot(path=tmp_path / "page.png", full_page=True)
    assert errors == []
    assert (found["images"], found["broken"]) == (len(page.images), 0)
    assert found["players"] == 7
    assert found["width"] <= width  # nothing sticks out
    image = imread(tmp_path / "page.png")
    assert image.shape[1] == width
    assert image.std() > 10
