# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ttc show` prints of trees made by hand: every node, its fate, and what is selected."""

import io
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from ttc_jax.__main__ import main
from ttc_jax.core.samples import SampleStore
from ttc_jax.data.sources import Question
from ttc_jax.report.terminal.show import show
from ttc_jax.search.recorder import Recorder
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.grade import Grader

ROOT = Path(__file__).resolve().parent.parent.parent
LOADED = """
import sys
from ttc_jax.__main__ import main
assert main(sys.argv) == 0
print(" ".join(name for name in ("jax", "flax", "numpy") if name in sys.modules))
"""


def node(number: int, parent: Node | None, text: str, round: int = 0, **fields) -> Node:
    """A node of one token a word whose value is its last score."""
    scores = fields.setdefault("scores", ())
    fields = {"value": scores[-1] if scores else None} | fields
    tokens = np.arange(len(text.split()), dtype=np.int32)
    return Node(number, parent, round, tokens, text=text, **fields)


def beams() -> Tree:
    """Node 0 has a kept and a pruned child; its grandchildren branch; 1 is pruned at once."""
    root = Node(-1)
    a = node(0, root, "3 * 4 = 12.\n", scores=(0.5,), usage=Counter(decode=9, verify=10))
    b = node(1, root, "3 + 4 = 7.\n", scores=(0.25,), usage=Counter(decode=9, verify=10))
    c = node(2, a, "12 + 6 = 18.\n", 1, scores=(0.75,))
    d = node(3, a, "12 - 6 = 6.\n", 1, scores=(0.25,), value=0.125, ahead="So\n6.",
             ahead_scores=(0.5, 0.125))  # fmt: skip
    e = node(4, c, "So it is\nThe answer is 18.", 2, scores=(0.25, 0.5), finish="stop")
    f = node(5, c, "The answer is 19.", 2, scores=(0.75,), finish="stop")
    g = node(6, c, "The answer is 18.", 2, scores=(0.5,), finish="length")
    usage = Counter(prefill=61, pages=1012, verifier_pages=14)
    return Tree("q/1", [root, a, b, c, d, e, f, g], [e, f, g], usage)


def chains() -> Tree:
    """Two chains of three attempts; the first is right once, the second twice."""
    answers = (("1", "18", "1"), ("18", "2", "18"))
    prompts = [Node(-1)] + [node(-2 - i, None, f"Q{i}", i // 2 * 2 + 1) for i in range(4)]
    attempts = {}
    for number in range(6):
        chain, turn = number % 2, number // 2
        prompt = prompts[0] if turn == 0 else prompts[2 * turn - 1 + chain]
        text = f"The answer is {answers[chain][turn]}."
        attempts[chain, turn] = node(number, prompt, text, 2 * turn, scores=(0.5,), finish="stop")
    candidates = [attempts[chain, turn] for chain in range(2) for turn in range(3)]
    nodes = sorted(attempts.values(), key=lambda n: n.number)
    return Tree("q/3", [*prompts, *nodes], candidates)


def plain(name: str, *texts: str) -> Tree:
    root = Node(-1)
    leaves = [node(i, root, text, finish="stop") for i, text in enumerate(texts)]
    return Tree(name, [root, *leaves], leaves)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run")
    hostile = plain("[bold]x", "\x1b[31mred[/bold]\x07\nThe answer is 1.", "The answer is 18.")
    trees = [beams(), plain("q/2", "hm", "ha"), chains(), hostile]
    questions = [Question(tree.question, "How many\npears?", "18") for tree in trees]
    with Grader(workers=1) as grader:
        with Recorder(
            SampleStore(path / "samples"), grader, questions, lambda t, n: {}
        ) as recorder:
            for tree in trees:
                recorder.add(tree)
    return path


def shown(workdir: Path, *args, width: int = 90, colour: bool = False, **options) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    console.print(*show(workdir, *args, **options), sep="\n")
    return out.getvalue()


def test_a_tree_with_all_that_is_known(workdir):
    assert shown(workdir, "q/1").splitlines() == [
        "q/1   gold answer 18",
        "nodes: 7, candidates: 3",
        "How many⏎pears?",
        "├── 0  0.500  5 tok  3 * 4 = 12.⏎",
        "│       3  0.125 [0.250]  5 tok  pruned  12 - 6 = 6.⏎",
        "│          ahead [0.500 0.125]  So⏎6.",
        "│   2  0.750  5 tok  12 + 6 = 18.⏎",
        "│   ├── 4  0.500 [0.250 0.500]  7 tok  ✓ 18  So it is⏎The answer is 18.",
        "│   ├── 5  0.750  4 tok  ✗ 19  The answer is 19.",
        "│   └── 6  0.500  4 tok  ✓ 18  out of tokens  The answer is 18.",
        "└── 1  0.250  5 tok  pruned  3 + 4 = 7.⏎",
        "majority      ✓ 18  node 4",
        "best          ✗ 19  node 5",
        "weighted      ✓ 18  node 4",
        "tokens        prefill 61, decode 18, verify 20",
        "pages         at most 1,012, of the verifier 14",
    ]


def test_without_pruned_branches_what_leads_to_candidates_stays_flat(workdir):
    lines = shown(workdir, "q/1", pruned=False).splitlines()
    assert lines[1] == "nodes: 7, candidates: 3, not shown: 2"
    assert lines[3:6] == [
        "└── 0  0.500  5 tok  3 * 4 = 12.⏎",
        "    2  0.750  5 tok  12 + 6 = 18.⏎",
        "    ├── 4  0.500 [0.250 0.500]  7 tok  ✓ 18  So it is⏎The answer is 18.",
    ]
    assert "pruned" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("depth", "pruned", "cut"), [(1, True, 5), (1, False, 4), (2, True, 3), (3, True, None)]
)
def test_depth_counts_steps_below_the_prompt(workdir, depth, pruned, cut):
    text = shown(workdir, "q/1", depth=depth, pruned=pruned)
    assert ("further down" in text) == (cut is not None)
    assert cut is None or f"… {cut} nodes further down" in text
    assert ("12 + 6 = 18" in text) == (depth > 1)


def test_lines_are_cut_at_the_width_of_the_terminal(workdir):
    lines = shown(workdir, "q/1", width=40).splitlines()
    assert max(map(len, lines[:-2])) == 40
    assert lines[7] == "│   ├── 4  0.500 [0.250 0.500]  7 tok  …"


def test_colours_tell_the_fate_of_a_node(workdir):
    lines = shown(workdir, "q/1", colour=True).splitlines()
    (kept,) = [line for line in lines if "12 + 6" in line]
    (pruned,) = [line for line in lines if "3 + 4" in line]
    (ahead,) = [line for line in lines if "ahead" in line]
    (right,) = [line for line in lines if "out of tokens" in line]
    (wrong,) = [line for line in lines if "So it is" not in line and "answer is 19" in line]
    assert "\x1b[32m12 + 6" in kept and "\x1b[2;31m3 + 4" in pruned and "\x1b[2m" in ahead
    assert "\x1b[1;32m✓ 18" in right and "\x1b[1mThe answer" in right
    assert "\x1b[1;31m✗ 19" in wrong


def test_chains_of_revisions_are_selected_within_and_across(workdir):
    lines = shown(workdir, "q/3").splitlines()
    at = lines.index("└── prompt -5  Q3")
    assert lines[at + 1] == "    5  0.500  4 tok  ✓ 18  The answer is 18."
    assert lines[3] == "├── 0  0.500  4 tok  ✗ 1  The answer is 1."
    selected = {line.split()[0]: line.split()[1:] for line in lines[at + 2 :]}
    assert selected["majority"] == ["✓", "18", "node", "2"]  # second attempt of the first chain
    assert selected["hierarchical"] == ["✗", "1", "node", "0"]  # one chain each: the first wins


def test_candidates_without_answers_or_scores(workdir):
    lines = shown(workdir, "q/2").splitlines()
    assert lines[3:] == [
        "├── 0  1 tok  no answer  hm",
        "└── 1  1 tok  no answer  ha",
        "majority      no candidate has an answer",
        "tokens        sampled 2",
    ]


def test_nothing_in_a_sample_reaches_the_terminal_as_a_command(workdir):
    text = shown(workdir, "[bold]x")
    assert "[bold]x" in text and "red[/bold]" in text and "⏎" in text
    assert "\x1b" not in text and "\x07" not in text


def test_without_a_question_all_are_listed(workdir):
    lines = [line.split() for line in shown(workdir).splitlines()]
    assert "question nodes candidates correct wrong unparsed timeout".split() in lines
    assert "q/1 7 3 2 1 0 0".split() in lines
    assert "q/2 2 2 0 0 2 0".split() in lines
    assert "q/3 6 6 3 3 0 0".split() in lines


def test_an_unknown_question_gets_the_nearest_names(workdir):
    with pytest.raises(ValueError, match=r"no question 'q/11' among the 4 in .*: q/1, q/") as error:
        shown(workdir, "q/11")
    assert "[bold]x" not in str(error.value)
    with pytest.raises(ValueError, match=r"the nearest: \[bold\]x, q/1, q/2, q/3 \("):
        shown(workdir, "&&&")


def test_nothing_is_shown_of_other_directories_and_nothing_made_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no samples in .*nowhere"):
        shown(tmp_path / "nowhere")
    (tmp_path / "samples").mkdir()
    with pytest.raises(FileNotFoundError, match="no samples in .*--workdir of a run"):
        shown(tmp_path, "q")
    assert [path.name for path in tmp_path.iterdir()] == ["samples"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "required: workdir"),
        (["x", "--depth=y"], "invalid int value: 'y'"),
        (["x", "--depth=0"], "--depth is 0; it must be at least 1"),
        (["x", "--dept=1"], "unrecognized arguments: --dept=1"),
        (["x"], "/x/samples; is "),
    ],
)
def test_wrong_command_lines(args, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["ttc", "show", *args]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and "Traceback" not in error


def test_the_command_prints_plain_text_into_a_pipe_without_loading_jax(workdir):
    args = ["show", str(workdir), "--question", "q/1", "--no-pruned"]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args],
        capture_output=True,
        cwd=ROOT,
        env={"PATH": "", "PYTHONIOENCODING": "ascii", "COLUMNS": "70"},
    )
    assert done.returncode == 0, done.stderr
    *lines, loaded = done.stdout.decode("ascii").splitlines()
    assert loaded == "numpy"
    assert "    2  0.750  5 tok  12 + 6 = 18.\\u23ce" in lines and "\x1b" not in "".join(lines)
