# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The report page as a text: well formed, harmless, complete, and the same every time."""

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report import gallery
from report.gallery_findings import findings

from ttc_jax.report.examples.branches import Branch, Level, Step
from ttc_jax.report.examples.cases import (
    Answer,
    Asked,
    Attempt,
    ChainExample,
    Examples,
    Failure,
    TreeExample,
)
from ttc_jax.report.page import SECTIONS, render, write_report
from ttc_jax.report.plots import Figure

VOID = {"meta", "link", "br"}
HOSTILE = (
    "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>&lt; {{ 7*7 }} \x00\u2028"
)


def examples(text: str = "some text") -> Examples:
    asked = Asked(text, text, text, text, text, "weighted")
    pruned = Step(2, text, 0.2, "pruned", below=3)
    chosen = Step(1, text, 0.8, "candidate", "correct", text, ahead=text)
    other = Step(4, text, None, "candidate", "unparsed")
    branch = Branch((Level(Step(0, text, 0.5, "kept"), (pruned,), 7),),
                    tuple(Branch((Level(end, (), 0),), ()) for end in (chosen, other)))  # fmt: skip
    attempts = tuple(
        Attempt(place, text, text, verdict, 0.5, verdict == "wrong")
        for place, verdict in ((1, "correct"), (2, "wrong"), (3, "timeout"))
    )
    answers = (
        Answer(text, 3, 1.5, 0.9, "wrong", True),
        Answer(text, 1, None, None, "correct", False),
    )
    return Examples(
        (TreeExample("solved", asked, (branch,), 1, 1, 9),
         TreeExample("pruned", asked, (branch,), None, 2, 9)),
        (ChainExample("lost", asked, attempts, 5), ChainExample("corrected", asked, attempts, 0)),
        tuple(Failure(kind, asked, answers, 2, (("Selected", text), ("Right", text)))
              for kind in ("unchosen", "fooled", "unsolved")),
    )  # fmt: skip


class Page(HTMLParser):
    """Tags in order, and what is wrong with them."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.wrong, self.tags, self.text = [], [], [], []
        self.feed(html)
        self.close()
        self.wrong += [f"<{tag}> stays open" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing at {self.getpos()}")

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]

    def ids(self) -> list[str]:
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]


@pytest.fixture(scope="module")
def html() -> str:
    return render(findings(), gallery.figures(), examples())


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_page_is_well_formed_and_says_what_it_is(html, page):
    assert page.wrong == []
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert len(page.all("h1")) == len(page.all("main")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


def test_names_occur_once_and_links_lead_somewhere(page):
    ids = Counter(page.ids())
    assert max(ids.values()) == 1
    for link in (attrs["href"] for tag, attrs in page.tags if "href" in attrs):
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert re.fullmatch(r"figures/[\w.-]+\.(svg|png|csv)|results\.json|data:,", link)
    for attrs in page.all("section"):
        assert "id" not in attrs or attrs["aria-labelledby"] in ids
    used = set(re.findall(r"url\(#([\w-]+)\)", " ".join(str(attrs) for _, attrs in page.tags)))
    assert used and used <= ids.keys()


def test_nothing_is_loaded_and_nothing_runs(html, page):
    assert "http://" not in html and "https://" not in html and "@import" not in html
    assert not page.all("script") and not page.all("img") and not page.all("iframe")
    assert [attrs for _, attrs in page.tags if "src" in attrs] == []
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert re.findall(r"url\((?!#)[^)]*\)", html) == []


def test_every_section_is_there_in_order(page):
    ids = [name for name in page.ids() if name in SECTIONS]
    assert ids == list(SECTIONS)


def test_figures_have_a_title_a_text_and_a_legend(page):
    figures = [figure for figure in gallery.figures() if figure.panels]
    assert len(page.all("figure")) == len(figures)
    images = [attrs for attrs in page.all("svg") if attrs.get("role") == "img"]
    panels = [panel for figure in figures for panel in figure.panels]
    assert len(images) == len(panels)
    for image, panel in zip(images, panels, strict=True):
        assert panel.title in image["aria-label"] and panel.note in image["aria-label"]
    text = "".join(page.text)
    for figure in gallery.figures():
        assert figure.title in text and figure.source in text and figure.caption in text
    assert "ttc run --config=configs/restem.py" in text


def test_every_colour_has_a_value_for_day_and_for_night(html):
    used = set(re.findall(r"var\((--[\w-]+)", html))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    day, night = re.findall(r":root \{ (?:color-scheme: light dark; )?(.*?) \}", style)
    local = {"--look", "--v", "--state"}
    assert used - local <= set(re.findall(r"(--[\w-]+):", day))
    assert set(re.findall(r"(--[\w-]+):", day)) == set(re.findall(r"(--[\w-]+):", night))


def test_numbers_are_where_they_belong(page):
    text = " ".join("".join(page.text).split())
    for said in (
        "311 of 500", "1.73 EFLOPs", "9 h 54 min", "bins of 100, 100, 100, 105, 95",
        "61.6 [56.6, 66.6]", "beam(N=16,M=4)", "+13.0 [+8.0, +18.0]", "think longer †",
        "k = 257.8", "85.8% discarded", "2.7 times", "≥ 1.3 ×", "In bin 5: train bigger",
        "2 shown, 1 refuted, 2 undecided.", "+12.6 [+6.6, +18.6]", "3.9 × [0.8 ×, ∞]",
        "What claim 2 compares.",
        "needs a beam search", "ttc run --config=configs/beam.py",
    ):  # fmt: skip
        assert said in text, said


def test_texts_of_samples_stay_texts():
    values = findings()
    for key in ("headline", "warnings"):
        values[key] = [HOSTILE]
    values["runs"][0] |= {"name": HOSTILE, "command": HOSTILE, "strategy": HOSTILE}
    values["ledger"][0]["run"] = HOSTILE
    values["configs"] = {HOSTILE: {HOSTILE: HOSTILE}}
    name = HOSTILE.replace("\x00", "")  # no XML file can hold it
    figure = replace(gallery.optimal_search(), title=name, caption=name, source=name)
    panel = replace(figure.panels[0], title=name, note=name, x_label=name)
    lines = (replace(panel.lines[0], name=name), *panel.lines[1:])
    figure = replace(figure, panels=(replace(panel, lines=lines),))
    page = Page(render(values, [figure], examples(HOSTILE)))
    assert page.wrong == []
    assert not page.all("script") and not page.all("img")
    assert "".join(page.text).count("<script>alert(1)</script>") > 30
    assert "{{ 7*7 }}" in "".join(page.text)


@pytest.mark.parametrize(
    "values",
    [{}, dict.fromkeys(findings()), {key: type(value)() for key, value in findings().items()}],
)
def test_a_report_of_nothing_is_still_a_page(values):
    page = Page(render(values))
    assert page.wrong == [] and len(page.all("h1")) == 1
    assert [name for name in page.ids() if name in SECTIONS] == []


@pytest.mark.parametrize("key", findings())
def test_any_part_may_be_missing(key):
    values = findings()
    del values[key]
    assert Page(render(values)).wrong == []


def test_a_comparison_that_was_not_measured(page):
    row = {"bin": "1", "small": None, "large": vars(gallery.near(0.5)), "difference": None,
           "verdict": "not measured", "capped": False}  # fmt: skip
    values = {"matched": [{"convention": "arxiv", "R": 1.0, "k": 2.0, "rows": [row]}]}
    text = "".join(Page(render(values)).text)
    assert "not measured" in text and "– against 50.0" in text


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    figures = [gallery.optimal_search(), Figure("16", "t", "s", missing="x")]
    write_report(directory, findings(), figures, examples())
    return directory, figures


def files(directory) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def test_a_report_is_a_page_its_figures_and_its_numbers(report):
    directory, figures = report
    names = {f"figures/4.{kind}" for kind in ("svg", "png", "csv")}
    assert files(directory).keys() == names | {"index.html", "results.json"}
    results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    drawn = results.pop("figures")
    assert results == json.loads(json.dumps(findings()))
    assert list(results) == sorted(results)
    line = figures[0].panels[0].lines[0]
    assert drawn[0]["panels"][0]["lines"][0]["y"][0]["mean"] == line.y[0].mean
    assert drawn[1]["missing"] == "x"


def test_again_is_the_same_and_what_is_gone_is_removed(report):
    directory, figures = report
    before = files(directory)
    (directory / "figures" / "old.svg").write_text("x")
    (directory / "figures" / ".4.png.tmp").write_text("x")
    (directory / "figures" / "notes.txt").write_text("mine")
    write_report(directory, findings(), figures, examples())
    assert files(directory) == before | {"figures/notes.txt": b"mine"}
    write_report(directory, findings(), figures[1:], examples())
    assert {name for name in files(directory) if "/4." in name} == set()
    (directory / "figures" / "notes.txt").unlink()
    write_report(directory, findings(), figures, examples())
    assert files(directory) == before


def test_a_page_of_everything_is_small(html):
    assert len(html.encode("utf-8")) < 1_500_000


@pytest.mark.parametrize(
    ("key", "message"), [("../x", "is no file name"), ("", "is no file name"), ("a", "2 figures")]
)
def test_keys_are_file_names(tmp_path, key, message):
    figures = [Figure("a", "t", "s"), Figure(key, "t", "s")]
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "new", {}, figures)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("value", [{"x": float("nan")}, {"x": {1, 2}}])
def test_findings_are_plain_values(tmp_path, value):
    with pytest.raises(ValueError, match="not plain JSON"):
        write_report(tmp_path / "new", value)
    assert not (tmp_path / "new").exists()
