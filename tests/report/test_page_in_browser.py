# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser: it fits the window, loads nothing, and says nothing to the console.

Skipped where there is no Chromium.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report import gallery
from report.gallery_findings import findings
from report.test_page import HOSTILE, examples

from ttc_jax.report.page import write_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS = (360, 390, 768, 1280)
# Measures the page in frames of several widths, as it comes and with everything opened.
MEASURE = """<!DOCTYPE html><title>measure</title>
%s
<script>
function measure(frame, opened) {
  const page = frame.contentDocument, window = frame.contentWindow;
  if (opened) page.querySelectorAll("details").forEach(one => { one.open = true; });
  const style = window.getComputedStyle(page.body);
  return {
    width: Number(frame.width), opened, scroll: page.documentElement.scrollWidth,
    loaded: window.performance.getEntriesByType("resource").map(one => one.name),
    paper: style.backgroundColor, ink: style.color,
    line: window.getComputedStyle(
      page.querySelector("svg[role=img] g > path[style*=stroke]")).stroke,
    empty: [...page.querySelectorAll("svg[role=img]")].filter(
      one => one.getBoundingClientRect().height < 100).length,
    nav: window.getComputedStyle(page.querySelector("nav")).position,
  };
}
addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")];
  const found = frames.flatMap(frame => [measure(frame, false), measure(frame, true)]);
  document.body.textContent = JSON.stringify(found);
});
</script>
"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")


def opened(page: Path, profile: Path, *flags: str) -> tuple[str, str]:
    """The document after loading, and what the browser wrote meanwhile."""
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-dev-shm-usage",
            "--allow-file-access-from-files", "--enable-logging=stderr", "--v=0",
            f"--user-data-dir={profile}", "--dump-dom", *flags, page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report")
    figures = [gallery.headline(), gallery.search_by_method(), gallery.bars_by_bin(),
               gallery.matched(), gallery.figures()[-1]]  # fmt: skip
    long = HOSTILE + " " + "unbreakable" * 40
    write_report(path, findings(), figures, examples(long))
    frames = "".join(f'<iframe src="index.html" width="{w}" height="900"></iframe>' for w in WIDTHS)
    (path / "measure.html").write_text(MEASURE % frames, encoding="utf-8")
    return path


def measured(directory: Path, profile: Path, *flags: str) -> tuple[list[dict], str]:
    document, said = opened(directory / "measure.html", profile, *flags)
    body = re.search(r"<body>(.*)</body>", document, re.DOTALL)[1]
    return json.loads(html.unescape(body)), said


@pytest.fixture(scope="module")
def seen(directory, tmp_path_factory) -> tuple[list[dict], str]:
    return measured(directory, tmp_path_factory.mktemp("profile"))


def test_the_page_is_as_wide_as_the_window_and_no_wider(seen):
    assert [one["width"] for one in seen[0]] == [w for w in WIDTHS for _ in range(2)]
    for one in seen[0]:
        assert one["scroll"] <= one["width"], one


def test_nothing_is_loaded_and_nothing_is_complained_of(seen):
    assert [one["loaded"] for one in seen[0]] == [[]] * len(seen[0])
    assert "CONSOLE" not in seen[1]


def test_figures_are_seen_and_contents_stay_in_sight_on_wide_screens(seen):
    assert {one["empty"] for one in seen[0]} == {0}
    assert {one["nav"] for one in seen[0] if one["width"] < 1000} == {"static"}
    assert {one["nav"] for one in seen[0] if one["width"] == 1280} == {"sticky"}


def brightness(colour: str) -> float:
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3]) / (3 * 255)


def test_the_page_and_its_figures_follow_light_and_dark(seen, directory, tmp_path):
    dark, _ = measured(directory, tmp_path, "--blink-settings=preferredColorScheme=0")
    day, night = seen[0][0], dark[0]
    assert brightness(day["paper"]) > 0.95 and brightness(day["ink"]) < 0.2
    assert brightness(night["paper"]) < 0.15 and brightness(night["ink"]) > 0.75
    assert brightness(day["line"]) > 0.8 and brightness(night["line"]) < 0.35  # of the grid


def test_a_console_message_would_be_noticed(directory, tmp_path):
    (directory / "broken.html").write_text("<script>console.error('oh')</script>", "utf-8")
    assert "CONSOLE" in opened(directory / "broken.html", tmp_path)[1]
    (directory / "broken.html").unlink()
