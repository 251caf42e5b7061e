# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What is stored of a run, for a terminal: its questions, and the search tree of one of them."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree as Branches

from ttc_jax.core.samples import Sample, candidates, read_outline, read_samples
from ttc_jax.model.settings import read_json
from ttc_jax.search.recorder import stored_tree
from ttc_jax.search.tree import Node, Tree
from ttc_jax.study.summary import winners
from ttc_jax.verify.grade import Grader, Verdict

STYLES = {"prompt": "cyan", "candidate": "bold", "expanded": "green", "pruned": "dim red"}
MARKS = {
    Verdict.CORRECT: ("✓", "bold green"),
    Verdict.WRONG: ("✗", "bold red"),
    Verdict.UNPARSED: ("no answer", "bold yellow"),
    Verdict.TIMEOUT: ("grading timed out", "bold yellow"),
}
ENDS = {"step": "unfinished  ", "length": "out of tokens  ", "unread": "unread  "}
SCORES = 4  # of a node with more, the first and the last few are shown


def show(
    workdir: Path, question: str | None = None, *, depth: int | None = None, pruned: bool = True
) -> Iterator[RenderableType]:
    """What to print of a work directory: the tree of a question, or without one a list of all.

    Of a pipeline it is a list of its stages. `depth` is the most steps below the prompt that are
    shown; without `pruned` only what leads to a candidate is. Nothing is written, and the run may
    still go on.

    Raises:
      FileNotFoundError: there are no samples.
      ValueError: no such question, a depth below 1, or samples that cannot be read.
    """
    if depth is not None and depth < 1:
        raise ValueError(f"--depth is {depth}; it must be at least 1")
    directory = workdir / "samples"
    outline = read_outline(directory) if directory.is_dir() else {}
    made = read_json(workdir / "config.json")
    if not outline and made.get("samples_depend_on", {}).get("job") == "pipeline":
        yield _stages(workdir, made["config"])
        yield Text(f"ttc show {workdir}/STAGE shows what is stored of a stage that samples")
        return
    if not outline:
        raise FileNotFoundError(f"no samples in {directory}; is {workdir} the --workdir of a run?")
    if question is None:
        yield _contents(outline)
        yield Text(f"ttc show {workdir} --question=ID shows the search tree of a question")
        return
    if question not in outline:
        near = difflib.get_close_matches(question, outline, n=5, cutoff=0.4) or list(outline)[:5]
        raise ValueError(
            f"no question {question!r} among the {len(outline)} in {directory}; the nearest: "
            f"{', '.join(near)} (ttc show {workdir} lists all)"
        )
    samples = read_samples(directory, question)
    view = _View(samples, depth, pruned)
    yield view.branches()
    graded = read_json(workdir / "config.json").get("config", {}).get("grade", {})
    yield from _selection(candidates(samples), Grader(**graded))
    yield from _spent(view.tree)


def _stages(workdir: Path, config: Mapping) -> Table:
    """One line a stage of a pipeline, in order: its job, and how far it is."""
    table = Table("stage", "job", "state", box=box.SIMPLE_HEAD)
    for name in config["order"]:
        state = "-"
        if (workdir / name / "config.json").exists():
            state = "done" if (workdir / name / "results.json").exists() else "begun"
        table.add_row(name, config["stages"][name]["job"], state)
    return table


def _contents(outline: dict[str, list[tuple[str, str]]]) -> Table:
    """One line a question: how many nodes were sampled, and how the candidates fared."""
    numbers = [Column(name, justify="right") for name in ("nodes", "candidates", *Verdict)]
    table = Table("question", *numbers, box=box.SIMPLE_HEAD)
    for name, nodes in outline.items():
        roles = Counter(role for role, _ in nodes)
        verdicts = Counter(verdict for _, verdict in nodes)
        counts = (len(nodes) - roles["prompt"], roles["candidate"], *map(verdicts.get, Verdict))
        table.add_row(Text(_shown(name)), *(str(count or 0) for count in counts))
    return table


class _View:
    """The tree of one question as nested branches.

    A level is added only where two or more children were kept: otherwise the search goes on below
    its node, after the pruned ones, which are set off.
    """

    def __init__(self, samples: Sequence[Sample], depth: int | None, pruned: bool):
        self.tree = stored_tree(samples)
        self._rows = {sample.branch: sample for sample in samples}
        self._depth = depth
        paths = (candidate.path for candidate in self.tree.candidates)
        alive = {node.number for path in paths for node in path}
        self._children: dict[int, list[Node]] = {node.number: [] for node in self.tree.nodes}
        self._hidden = 0
        for node in self.tree.nodes:
            if node.parent is None:
                continue
            if pruned or node.number in alive:
                self._children[node.parent.number].append(node)
            else:
                self._hidden += 1

    def branches(self) -> Branches:
        """The whole tree; prompts of revisions stand beside what grew from the plain prompt."""
        root, *prompts = (node for node in self.tree.nodes if node.number < 0)
        branches = Branches(self._header(root))
        for node in self._children[root.number]:
            self._add(branches, node, 1)
        for prompt in prompts:
            self._add(branches, prompt, 0)
        return branches

    def _header(self, root: Node) -> Group:
        row = self._rows.get(root.number)
        gold = f"   gold answer {_shown(row.answer)}" if row and row.answer else ""
        sampled = sum(node.number >= 0 for node in self.tree.nodes)
        counts = f"nodes: {sampled}, candidates: {len(self.tree.candidates)}"
        if self._hidden:
            counts += f", not shown: {self._hidden}"
        lines = [_line((_shown(self.tree.question), "bold"), gold), _line((counts, "dim"))]
        if root.text:
            lines.append(Text(_shown(root.text), STYLES["prompt"]))
        return Group(*lines)

    def _add(self, branches: Branches, node: Node, level: int) -> None:
        """Adds a node and all that follows; `level` is how many steps it is below the prompt."""
        lines, apart = self._lines(node), []
        while children := self._children[node.number]:
            if level == self._depth:
                lines.append(_line((f"… {self._below(node)} nodes further down", "dim")))
                break
            kept = [child for child in children if self._rows[child.number].role != "pruned"]
            if len(kept) > 1:
                apart = children
                break
            for child in children:
                lines += [] if child in kept else self._lines(child, "    ")
            if not kept:
                break
            node, level = kept[0], level + 1
            lines += self._lines(node)
        branch = branches.add(Group(*lines), guide_style="dim")
        for child in apart:
            self._add(branch, child, level + 1)

    def _below(self, node: Node) -> int:
        """How many nodes that would be shown come after this one."""
        count, waiting = 0, [node]
        while waiting:
            children = self._children[waiting.pop().number]
            count += len(children)
            waiting += children
        return count

    def _lines(self, node: Node, indent: str = "") -> list[Text]:
        """A node, and what it was looked ahead at."""
        row = self._rows[node.number]
        style = STYLES[row.role]
        if node.number < 0:
            parts = [f"prompt {node.number}"]
        else:
            parts = [str(node.number), _value(node), f"{len(node.tokens)} tok"]
        line = [indent, *((f"{part}  ", style) for part in parts if part)]
        if row.role == "pruned":
            line.append(("pruned  ", style))
        elif row.role == "candidate":
            line += [_verdict(row), "  ", ENDS.get(row.finish, "")]
        lines = [_line(*line, (_shown(node.text), style))]
        if node.ahead:
            scores = _scores(node.ahead_scores)
            lines.append(_line((f"{indent}   ahead {scores}  {_shown(node.ahead)}", "dim")))
        return lines


def _selection(rows: Sequence[Sample], grader: Grader) -> Iterator[Text]:
    """The answer that each rule selects."""
    with grader:
        found = winners(rows, grader.classes, _chain(rows))
    for rule, winner in found.items():
        row = None if winner is None else rows[winner]
        chosen = [_verdict(row), f"  node {row.branch}"] if row else ["no candidate has an answer"]
        yield _footer(rule, *chosen)


def _chain(rows: Sequence[Sample]) -> int:
    """Attempts in each chain of revisions, 0 of other searches; in a chain, rounds only grow."""
    if all(row.parent >= -1 for row in rows):
        return 0
    ends = (i for i in range(1, len(rows)) if rows[i].round <= rows[i - 1].round)
    return next(ends, len(rows))


def _spent(tree: Tree) -> Iterator[Text]:
    """Tokens by phase and the most pages that were held."""
    usage = sum((node.usage for node in tree.nodes), Counter(tree.usage))
    pages, verifier_pages = (usage.pop(name, 0) for name in ("pages", "verifier_pages"))
    usage = usage or Counter(sampled=sum(len(n.tokens) for n in tree.nodes if n.number >= 0))
    phases = (f"{name.replace('_', ' ')} {number:,}" for name, number in usage.items())
    yield _footer("tokens", ", ".join(phases))
    if pages:
        verifier = f", of the verifier {verifier_pages:,}" if verifier_pages else ""
        yield _footer("pages", f"at most {pages:,}{verifier}")


def _footer(name: str, *parts: str | tuple[str, str]) -> Text:
    return Text.assemble((f"{name:<14}", "bold"), *parts)


def _verdict(row: Sample) -> tuple[str, str]:
    mark, style = MARKS[Verdict(row.verdict)]
    return (mark if row.answer is None else f"{mark} {_shown(row.answer)}", style)


def _value(node: Node) -> str:
    """What the strategy compared, and the scores behind it where they say more."""
    if node.value is None:
        return _scores(node.scores)
    behind = "" if node.scores == (node.value,) else _scores(node.scores)
    return f"{node.value:.3f} {behind}".rstrip()


def _scores(scores: Sequence[float]) -> str:
    shown = [f"{score:.3f}" for score in scores]
    if len(shown) > SCORES:
        shown = [*shown[: SCORES // 2], "…", *shown[-SCORES // 2 :]]
    return f"[{' '.join(shown)}]" if shown else ""


def _line(*parts: str | tuple[str, str]) -> Text:
    """One line, cut off where the terminal ends."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _shown(text: str) -> str:
    """The text in one line: newlines as a sign, and nothing that a terminal would obey."""
    signs = {"\n": "⏎"}
    return "".join(
        signs.get(c) or (" " if c.isspace() else c if c.isprintable() else "\ufffd") for c in text
    )
