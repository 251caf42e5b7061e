# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The report: one HTML page that loads nothing, its figures as files, and all numbers as JSON."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ttc_jax.core.files import TEMPORARY, check_writable, write_bytes_atomic
from ttc_jax.core.places import path_of
from ttc_jax.report import words
from ttc_jax.report.claims import counted
from ttc_jax.report.drawing import colours, draw, looks
from ttc_jax.report.drawing.legend import entries
from ttc_jax.report.drawing.sheet import csv_text, sheets
from ttc_jax.report.drawing.vector import declared, inlined, variable
from ttc_jax.report.examples.cases import Examples
from ttc_jax.report.ledger import spent, used_phases
from ttc_jax.report.plots import Figure, Panel
from ttc_jax.report.savings import savings
from ttc_jax.study.claim import REFUTED, SHOWN

SECTIONS = {
    "claims": "The claims of the paper",
    "numbers": "Key numbers",
    "allocation": "Compute-optimal allocation",
    "selection": "Choosing among samples",
    "figures": "Figures",
    "matched": "Thinking longer or a larger model",
    "ledger": "Where the FLOPs went",
    "difficulty": "What knowing the difficulty costs",
    "examples": "Examples",
    "missing": "Figures without data",
    "runs": "Runs",
    "settings": "Settings and versions",
}
PAGE = {
    "paper": colours.PAPER,
    "ink": colours.INK,
    "soft": colours.SOFT,
    "line": "#d8dce1",
    "wash": "#f4f5f7",
    "accent": colours.BLUE,
    "good": colours.TEAL,
    "bad": colours.VERMILION,
    "warn": "#8a6100",
}
FILES = (".svg", ".png", ".csv")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_STYLE = "<style></style>"  # its first place in the page is the head, before any text of a run


def write_report(
    directory: str | Path,
    findings: Mapping[str, Any],
    figures: Sequence[Figure] = (),
    examples: Examples | None = None,
) -> Path:
    """Writes index.html, results.json and figures/ (KEY.svg, .png and .csv); returns the page.

    results.json holds `findings` and the figures as plain numbers. Equal input gives equal bytes;
    files of figures that there are no more are removed.

    Raises:
      ValueError: a figure that cannot be drawn, a key that is no file name or occurs twice, or
        findings that are not plain JSON values.
      WorkdirError: the directory cannot be written.
    """
    directory = path_of(directory)
    files: dict[Path, bytes] = {}
    for figure in _checked(figures):
        stem = directory / "figures" / figure.key
        if figure.panels:
            files[stem.with_name(f"{figure.key}.svg")] = draw.svg(figure).encode("utf-8")
            files[stem.with_name(f"{figure.key}.png")] = draw.png(figure)
            files[stem.with_name(f"{figure.key}.csv")] = csv_text(figure).encode("utf-8")
    files[directory / "results.json"] = _results(findings, figures)
    page = directory / "index.html"
    files[page] = render(findings, figures, examples).encode("utf-8")
    check_writable(directory / "figures")
    for path, data in files.items():
        write_bytes_atomic(path, data)
    for path in (directory / "figures").iterdir():
        if path not in files and path.suffix in (*FILES, TEMPORARY):
            path.unlink()
    return page


def render(
    findings: Mapping[str, Any], figures: Sequence[Figure] = (), examples: Examples | None = None
) -> str:
    """The page as HTML. For `findings` see the function of that name; every key may be missing.

    Raises:
      ValueError: a figure that cannot be drawn, or a key that is no file name or occurs twice.
    """
    shown = list(_shown_figures([figure for figure in _checked(figures) if figure.panels]))
    examples = examples or Examples()
    ledger, phases = findings.get("ledger") or [], used_phases(findings.get("ledger") or [])
    values = {
        "findings": findings,
        "tiles": list(_tiles(findings)),
        "figures": shown,
        "missing": [figure for figure in figures if not figure.panels],
        "savings": savings(findings.get("factors") or []),
        "judged": _judged(findings.get("verifier_quality") or []),
        "matched": _grouped(findings.get("matched") or [], _compared),
        "break_even": _grouped(findings.get("break_even") or [], _convention),
        "ledger": [spent(row, phases) for row in ledger],
        "phases": phases,
        "examples": examples,
        "settings": list(_settings(findings)),
    }
    there = {name: values.get(name) or findings.get(name) for name in SECTIONS}
    there["numbers"] = values["tiles"] or findings.get("factors")
    there["selection"] = findings.get("selection") or values["judged"]
    there["examples"] = any(dataclasses.astuple(examples))
    there["matched"] = values["matched"] or findings.get("break_even")
    sections = {name: title for name, title in SECTIONS.items() if there[name]}
    html = (
        _environment()
        .get_template("report.html.jinja")
        .render(**values, sections=sections, contents=sections.items(), style="")
    )
    return html.replace(_STYLE, f"<style>{_style(html)}</style>", 1)


def _checked(figures: Sequence[Figure]) -> Sequence[Figure]:
    keys = [figure.key for figure in figures]
    for key in keys:
        if not _KEY.fullmatch(key):
            raise ValueError(f"figure key {key!r} is no file name: use letters, digits and ._-")
        if keys.count(key) > 1:
            raise ValueError(f"there are {keys.count(key)} figures of key {key!r}: rename one")
    return figures


def _results(findings: Mapping[str, Any], figures: Sequence[Figure]) -> bytes:
    value = dict(findings) | {"figures": [dataclasses.asdict(figure) for figure in figures]}
    try:
        text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the findings are not plain JSON values: {error}") from error
    return (text + "\n").encode("utf-8")


def _shown_figures(figures: Sequence[Figure]) -> Iterator[dict[str, Any]]:
    """What the template shows of each figure; small ones stand in pairs, a last one alone."""
    single = False  # whether the row so far holds one small figure
    for number, figure in enumerate(figures):
        follows = number + 1 < len(figures) and len(figures[number + 1].panels) == 1
        if len(figure.panels) > 1:
            place = "full"
        else:
            place = "half" if single or follows else "alone"
            single = place == "half" and not single
        yield {
            "key": figure.key,
            "title": figure.title,
            "source": figure.source,
            "caption": figure.caption,
            "place": place,
            "panels": [
                Markup(inlined(draw.panel_svg(panel), f"f{number}p{i}", _said(figure, panel)))
                for i, panel in enumerate(figure.panels)
            ],
            "legend": [
                {"text": entry.text, "svg": Markup(inlined(draw.swatch(entry), f"f{number}s{i}"))}
                for i, entry in enumerate(entries(figure.panels))
            ],
            "sheets": sheets(figure),
        }


def _said(figure: Figure, panel: Panel) -> str:
    title = panel.title or figure.title
    return f"{title}. {panel.note}" if panel.note else title


def _tiles(findings: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, value and remark of each number that is shown large."""
    questions, runs = findings.get("questions") or {}, findings.get("runs") or []
    if questions.get("n"):
        bins = questions.get("bins") or []
        sizes = ", ".join(map(words.amount, bins))
        yield "questions", words.amount(questions["n"]), f"bins of {sizes}" if bins else ""
    if runs:
        left = sum(unfinished(run) for run in runs)
        yield "runs", words.amount(len(runs)), f"{left} not finished" if left else "all finished"
    flops, seconds = (sum(run.get(key) or 0 for run in runs) for key in ("flops", "seconds"))
    if flops:
        yield "compute", f"{words.si(flops)}FLOPs", "all runs together"
    if seconds:
        yield "time", words.duration(seconds), "all runs together"


def unfinished(run: Mapping) -> bool:
    """Whether a run has not answered all its questions yet."""
    return bool(run.get("expected")) and (run.get("done") or 0) < run["expected"]


def _grouped(rows: Sequence[Mapping], name: Callable[[Mapping], str]) -> dict[str, list[Mapping]]:
    found: dict[str, list[Mapping]] = {}
    for row in rows:
        found.setdefault(name(row), []).append(row)
    return found


def _judged(rows: Sequence[Mapping]) -> dict[str, Any]:
    """What a table of the worth of scores shows: steps as columns, a row for each verifier."""
    steps = sorted({row["step"] for row in rows if row["step"] is not None})
    cells: dict[tuple[str, str], dict] = {}
    for row in rows:
        cells.setdefault((row["kind"], row["run"]), {})[row["step"]] = row
    shown = [(kind, run, [own.get(step) for step in (*steps, None)])
             for (kind, run), own in cells.items()]  # fmt: skip
    return {"steps": steps, "rows": shown} if shown else {}


def _compared(comparison: Mapping) -> str:
    """What is compared: the columns of one table."""
    small, large = comparison.get("small", "small model"), comparison.get("large", "")
    against = f"{small} against the larger model{', ' if large else ''}{large}"
    return f"{against}, FLOPs by the convention “{comparison['convention']}”"


def _convention(row: Mapping) -> str:
    return row.get("convention", "")


def _forest(difference: Mapping, columns: Sequence[Mapping]) -> dict[str, float]:
    """Where a difference and its interval lie, in percent of a line with 0 in its middle."""
    shown = [row["difference"] for c in columns for row in c["rows"] if row.get("difference")]
    most = max(abs(end) for one in shown for end in (one["low"], one["high"])) or 1.0
    low, mean, high = (
        round(50 + 50 * difference[key] / most, 1) for key in ("low", "mean", "high")
    )
    return {"low": low, "mean": mean, "width": round(high - low, 1)}


def _difference(row: Mapping) -> tuple[str, str]:
    """What was measured of a claim or a part of one, and its interval."""
    found, unit = row.get("difference"), row.get("unit")
    if not found:
        return ("exact" if unit == "exact" else words.NOTHING), ""
    show = {"points": words.signed, "share": words.percent, "times": words.times}[unit]
    mean, low, high = (show(found[key]) for key in ("mean", "low", "high"))
    return mean, f"[{low}, {high}]"


def _settings(findings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A title and a text for the versions and for each configuration."""
    if findings.get("versions"):
        yield "Versions", _plain(findings["versions"])
    for run, config in (findings.get("configs") or {}).items():
        yield f"Configuration of {run}", _plain(config)


def _plain(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "signed": words.signed,
        "amount": words.amount,
        "si": words.si,
        "duration": words.duration,
        "score": words.score,
        "mark": words.mark,
        "unit": words.unit,
        "sentence": words.sentence,
        "shown_as": lambda value, name: getattr(words, name)(value),
        "unfinished": unfinished,
        "rules": lambda table: sorted(
            {cell.get("rule") or "" for row in table["rows"] for cell in row["cells"] if cell}
        ),
        "colour": lambda name: variable(looks.look(name).colour),
        "strategy_look": looks.of_strategy,
        "budgets": lambda rows: sorted({p["budget"] for row in rows for p in row["points"]}),
        "bins": lambda columns: list(
            dict.fromkeys(row["bin"] for column in columns for row in column["rows"])
        ),
        "of_bin": lambda rows, name: next((row for row in rows if row["bin"] == name), None),
        "forest": _forest,
        "verdict": words.verdict,
        "claim_class": {SHOWN: "good", REFUTED: "bad"}.get,
        "counted": counted,
        "difference": _difference,
        "verdict_class": lambda text: text.partition(" ")[0],
    }
    return environment


def _style(html: str) -> str:
    """The style sheet of a page, which declares the colours that occur in it."""
    own = {name: (colour, colours.at_night(colour)) for name, colour in PAGE.items()}
    day, night = ("".join(f"--{name}:{pair[i]};" for name, pair in own.items()) for i in (0, 1))
    sheet = _environment().get_template("report.css.jinja")
    return sheet.render(
        day=Markup(day + declared([html])), night=Markup(night + declared([html], night=True))
    )
