# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc report`: what all runs in some directories show, as one page, with policies for `solve`."""

from collections.abc import Sequence

from ttc_jax.core.places import path_of
from ttc_jax.run.commands.parser import Parser, numbers, print_anything

USAGE = """\
ttc report WORKDIR [WORKDIR ...] [--out=DIR] [--bins=5 | --absolute] [--folds=2]
                  [--difficulty=N] [--R=0.16,0.79,22] [--resamples=2000] [--confidence=0.95]

  WORKDIR      a run, or a directory of runs, finished or still going on
  --out        where index.html, results.json and policy.json go; default: report in WORKDIR
  --bins       of difficulty, of equal size; --absolute: by pass@1 above 50 %, 10 %, or below
  --folds      of cross-validation
  --difficulty samples of a question that tell how hard it is; default: half of the largest pool
  --R          ratios of inference to pretraining tokens for the comparison with a larger model
  --resamples  of the questions, for intervals of --confidence"""


def main(argv: Sequence[str]) -> None:
    """Writes the report and prints what it found."""
    parser = Parser(USAGE)
    parser.add_argument("workdirs", type=path_of, nargs="+", metavar="WORKDIR")
    parser.add_argument("--out", type=path_of)
    bins = parser.add_mutually_exclusive_group()
    bins.add_argument("--bins", type=int, default=5, dest="n_bins")
    bins.add_argument("--absolute", action="store_true")
    parser.add_argument("--folds", type=int, default=2, dest="n_folds")
    parser.add_argument("--difficulty", type=int, default=0, dest="samples")
    parser.add_argument("--R", type=numbers(float), default=(0.16, 0.79, 22.0), dest="ratios")
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--confidence", type=float, default=0.95)
    args = vars(parser.parse_args(argv))
    del args["traceback"]
    workdirs, out = args.pop("workdirs"), args.pop("out")
    from ttc_jax.study.settings import ReportSettings

    settings = ReportSettings(**args)
    from ttc_jax.report.write import report  # after checking: matplotlib takes a second

    print_anything()
    for line in report(workdirs, out or workdirs[0] / "report", settings):
        print(line, flush=True)
