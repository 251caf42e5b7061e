# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc solve`: a question answered with a budget, spent as a policy of `ttc report` says."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ttc_jax.run.commands.parser import Parser, print_anything

if TYPE_CHECKING:
    from ttc_jax.run.solve import Answer, Estimate
    from ttc_jax.study.fitted import FittedPolicy

USAGE = """\
ttc solve --policy=FILE QUESTION [--budget=N [--unit=generations | --unit=flops]] [--charge]
                 [--json] [--config.NAME=VALUE ...]

  QUESTION     the question, or - to read it from standard input
  --policy     policy.json or policy_flops.json of a report
  --budget     what may be spent; default: the largest budget that the policy was fitted for
  --unit       of the budget, as the policy was fitted
  --charge     counts samples that tell how hard the question is; of budgets in FLOPs always done
  --json       prints one JSON object
  --config.*   changes a setting of the runs that the policy was fitted to, such as model.path"""


def main(argv: Sequence[str]) -> None:
    """Answers the question and says why so, how surely, and what it took."""
    parser = Parser(USAGE)
    parser.add_argument("question", metavar="QUESTION")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--budget", type=float)
    parser.add_argument("--unit", choices=("generations", "flops"))
    parser.add_argument("--charge", action="store_true")
    parser.add_argument("--json", action="store_true")
    changes = [arg for arg in argv if arg.startswith("--config.")]
    args = parser.parse_args([arg for arg in argv if arg not in changes])
    text = (sys.stdin.read() if args.question == "-" else args.question).strip()
    if not text:
        raise ValueError("the question is empty; write it behind the flags, or - to read it")
    pairs = _pairs(changes)
    print_anything()
    say = (lambda line: print(line, file=sys.stderr)) if args.json else print
    from ttc_jax.study.policy_file import read

    policy = read(args.policy)
    unit = args.unit or policy.unit
    budget = policy.budgets[-1] if args.budget is None else args.budget
    charge = args.charge or unit == "flops"
    _check_budget(policy, budget, unit, charge)
    found = _solved(policy, text, budget, unit, charge, pairs, say)
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))


def _pairs(changes: Sequence[str]) -> dict[str, str]:
    """Settings and their values from flags."""
    pairs = {}
    for change in changes:
        key, sign, value = change.removeprefix("--config.").partition("=")
        if not sign:
            raise ValueError(f"{change} has no value; write {change}=VALUE")
        pairs[key] = value
    return pairs


def _check_budget(policy: "FittedPolicy", budget: float, unit: str, charge: bool) -> None:
    """ValueError for a budget below all fitted; the FLOPs of an estimate are not known yet."""
    apart = policy.samples if charge and unit == "generations" and policy.edges else 0
    if unit == policy.unit and apart and budget - apart < policy.budgets[0]:
        raise ValueError(
            f"--budget is {budget:g}, of which telling how hard the question is takes {apart}; the "
            f"smallest budget fitted is {policy.budgets[0]:g} generations: raise it, or leave out "
            f"--charge"
        )
    policy.choose(0.0, budget, unit)


def _solved(
    policy: "FittedPolicy",
    text: str,
    budget: float,
    unit: str,
    charge: bool,
    changes: Mapping[str, str],
    say: Callable[[str], None],
) -> dict:
    """Everything of an answer as JSON values; `say` takes it line by line as it comes."""
    import jax  # takes seconds, as the models do

    from ttc_jax.run import settings
    from ttc_jax.run.solve import Solver

    own = next(iter(policy.sources.values())).get("cache_dir", "")
    cache = settings.cache_dir(changes.get("cache_dir", own))
    jax.config.update("jax_compilation_cache_dir", str(cache / "xla"))
    solver = Solver(policy, changes, cache)
    estimate = solver.estimate(text)
    left = budget
    if estimate is not None:
        left -= _taken(estimate.spent, unit) if charge else 0
        say(
            f"Telling how hard the question is took {estimate.spent.generations} generations, "
            f"{estimate.spent.total:.4g} FLOPs: {'' if charge else 'not '}charged to the budget."
        )
    ease, spread = (0.0, None) if estimate is None else (estimate.ease, estimate.spread)
    try:
        entry = policy.choose(ease, left, unit)
    except ValueError as error:
        raise ValueError(f"of the budget {_words(left, unit)} are left; {error}") from error
    why = policy.why(ease, left, unit, spread)
    say(why)
    answer = solver.answer(text, entry)
    left -= _taken(answer.spent, unit)
    for line in _told(estimate, answer, entry.rule, left, unit):
        say(line)
    return {
        "question": text,
        "answer": answer.answer,
        "solution": answer.solution,
        "confidence": {"votes": answer.votes, "value": answer.value, "weighted": answer.weighted},
        "candidates": answer.candidates,
        "bin": entry.bin + 1,
        "bins": len(policy.edges) + 1,
        "ease": None if estimate is None else ease,
        "strategy": entry.strategy,
        "rule": entry.rule,
        "why": why,
        "budget": {"given": budget, "unit": unit, "left": left, "charged": charge},
        "difficulty": None if estimate is None else asdict(estimate.spent),
        "search": asdict(answer.spent),
    }


def _told(
    estimate: "Estimate | None", answer: "Answer", rule: str, left: float, unit: str
) -> Iterator[str]:
    """The answer in lines for a reader."""
    yield ""
    if answer.answer is None:
        yield f"No answer: none of {answer.candidates} candidates states one."
    else:
        yield answer.solution.strip()
        yield ""
        yield f"Answer: {answer.answer}"
        sure = [f"{answer.votes:.0%} of {answer.candidates} candidates give it"]
        if answer.weighted is not None:
            sure.append(f"{answer.weighted:.0%} of all verifier values")
        if answer.value is not None:
            sure.append(f"the verifier's value of the chosen one is {answer.value:.3f}")
        yield f"Confidence ({rule}): {', '.join(sure)}"
    for name, part in (("difficulty", estimate), ("search", answer)):
        if part is not None:
            spent = part.spent
            tokens = ", ".join(f"{phase} {n:,}" for phase, n in spent.tokens.items())
            flops = ", ".join(f"{phase} {n:.3g}" for phase, n in spent.flops.items())
            yield f"Tokens of {name}: {tokens or '-'}"
            yield f"FLOPs of {name}: {spent.total:.4g} ({flops}), in {spent.seconds:.1f} s"
    over = "over the budget by" if left < 0 else "left of the budget:"
    yield f"{over} {_words(abs(left), unit)}"


def _taken(spent, unit: str) -> float:
    return float(spent.total if unit == "flops" else spent.generations)


def _words(amount: float, unit: str) -> str:
    return f"{amount:.4g} FLOPs" if unit == "flops" else f"{amount:g} generations"
