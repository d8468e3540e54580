"""How often a verdict is wrong: simulated studies of methods without an effect, and of one with an effect.

A study has 1, 4 or 8 methods. All are compared with one scratch row, so their differences are correlated. The returns
of every row have one distribution: methods without an effect draw from that of scratch. The record holds the share of
studies with at least one wrong verdict (the family-wise error rate) by `headstart.protocol.verdicts`. Beside it are the
same without Holm's correction, and the error rate of the comparison of all rows with each other. Power is the share of
studies in which the one better method gets its verdict, by its effect in standard deviations of a return.

    python benchmarks/error_rates.py            # about a minute on 2 cores
    python benchmarks/error_rates.py --tiny     # checks that it runs
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from flags import RUNS, flags, read
from rich.table import Table

from headstart.lab.checkpoint.files import jsonable, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.line_chart import Reference, Series
from headstart.lab.report.terminal_tables import print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.verdicts import ALPHA, paired_t_tests

Law = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]  # -> returns of that shape

METHODS, SEEDS = (1, 4, 8), (5, 10)
EFFECTS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # standard deviations of a return
TRIALS = 20_000
MOST_AT_ONCE = 2_000  # trials, for the sake of memory


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns that vary as most people think they do."""
    return rng.normal(size=shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns with rare extremes on both sides: Student's t of 2.5 degrees of freedom."""
    return rng.standard_t(2.5, size=shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns of which a few are far above all others: log-normal."""
    return rng.lognormal(0.0, 1.0, size=shape)


def bimodal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns of CartPole: half of the runs balance the pole for all 500 steps, or nearly; half do not."""
    solved = 500.0 - 10.0 * np.abs(rng.normal(size=shape))
    return np.where(rng.random(shape) < 0.5, solved, np.clip(rng.normal(120.0, 40.0, shape), 8.0, 500.0))


def ties(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns of a few values only, such as numbers of goals."""
    return rng.binomial(4, 0.5, size=shape).astype(float)


def ceiling(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns that most runs have at their highest possible value."""
    return np.minimum(rng.normal(0.5, 1.0, size=shape), 0.5)


SAME: dict[str, Law] = {
    "normal": normal, "heavy-tailed": heavy, "skewed": skewed, "bimodal": bimodal, "ties": ties, "ceiling": ceiling,
}  # fmt: skip
WIDER = 3.0  # times as far from the mean as scratch
# Of each law: that of scratch, and how many times as widely a method's returns vary around the same mean.
LAWS: dict[str, tuple[Law, float]] = {name: (law, 1.0) for name, law in SAME.items()}
LAWS["unequal variances"] = (normal, WIDER)
# Here a method differs from scratch in shape, and so their difference is skewed. No test of the mean of a few values
# holds for all such laws; these say by how much this one does not.
BROKEN: dict[str, tuple[Law, float]] = {
    "skewed, unequal variances": (skewed, WIDER),
    "ceiling, unequal variances": (ceiling, WIDER),
}


def studies(law: Law, times: float, methods: int, seeds: int, trials: int) -> Iterator[np.ndarray]:
    """Yields returns [trial, row, seed] in standard deviations of scratch's; the last row is scratch."""
    rng = np.random.default_rng([methods, seeds, *map(ord, law.__name__)])
    sample = law(np.random.default_rng(0), (1_000_000,))
    mean, spread = sample.mean(), sample.std()
    for first in range(0, trials, MOST_AT_ONCE):
        rows = (law(rng, (min(MOST_AT_ONCE, trials - first), methods + 1, seeds)) - mean) / spread
        rows[:, :-1] *= times
        yield rows


def rates(law: Law, times: float, methods: int, seeds: int, trials: int) -> dict[str, Any]:
    """Returns the shares of studies with a wrong verdict, and of those that find one better method."""
    wrong, alone, among, results = [], [], [], {effect: [] for effect in EFFECTS}
    first, second = np.tril_indices(methods + 1, -1)
    for rows in studies(law, times, methods, seeds, trials):
        differences = rows[:, :-1] - rows[:, -1:]
        tests = paired_t_tests(differences)
        wrong.append((tests.p_holm <= ALPHA).any(-1))
        alone.append((tests.p <= ALPHA).any(-1))
        among.append((paired_t_tests(rows[:, first] - rows[:, second]).p_holm <= ALPHA).any(-1))
        for effect in EFFECTS:
            better = differences + effect * (np.arange(methods) == 0)[:, None]
            one = paired_t_tests(better)
            results[effect].append((one.p_holm[:, 0] <= ALPHA) & (one.mean[:, 0] > 0.0))
    share = lambda each: float(np.concatenate(each).mean())
    rates_by_kind = {
        "wrong": share(wrong),
        "wrong without correction": share(alone),
        "wrong among all rows": share(among),
    }
    return {**rates_by_kind, "power": {str(effect): share(each) for effect, each in results.items()}}


def size(methods: int, seeds: int) -> str:
    """Returns the name of a study of that size."""
    return f"{methods} method{'s' * (methods > 1)}, {seeds} seeds"


def measure(laws: dict[str, tuple[Law, float]], trials: int) -> dict[str, dict[str, dict]]:
    """Returns the rates of each law and size of a study."""
    sizes = [(methods, seeds) for seeds in SEEDS for methods in METHODS]
    return {
        name: {size(m, n): rates(law, times, m, n, trials) for m, n in sizes} for name, (law, times) in laws.items()
    }


def table(results: dict[str, dict[str, dict]], what: str, title: str) -> Table:
    """Returns one of the rates, of each law and size of a study."""
    shown = Table("law of returns", *next(iter(results.values())), title=title)
    for name, each in results.items():
        shown.add_row(name, *(f"{100 * one[what]:.1f} %" for one in each.values()))
    return shown


def main() -> None:
    """Simulates the studies; writes the record and the figures, and prints the tables."""
    args = read(flags(__doc__, RUNS / "error_rates"))
    trials = 500 if args.tiny else TRIALS
    results, broken = measure(LAWS, trials), measure(BROKEN, trials)
    worst = max(one["wrong"] for each in results.values() for one in each.values())
    command = "python benchmarks/error_rates.py" + " --tiny" * args.tiny
    data = {"trials": trials, "alpha": ALPHA, "worst": worst, "laws": results, "not symmetric": broken}
    write_json(args.out / "error_rates.json", jsonable({**data, "provenance": provenance(command)}))
    lines = []
    for name, each in results.items():
        share = np.array([100 * each[size(m, SEEDS[0])]["wrong"] for m in METHODS])
        half = 1.96 * np.sqrt(share * (100 - share) / trials)
        lines.append(Series(name, np.array(METHODS, float), share, share - half, share + half))
    title = f"At least one wrong verdict in a study of useless methods ({SEEDS[0]} seeds)"
    figure_curves(
        lines, args.out / "error_rates.svg", title, "methods", "% of studies", [Reference("5 %", 100 * ALPHA)]
    )
    lines = []
    for name, one in results["normal"].items():
        power = np.array([100 * one["power"][str(effect)] for effect in EFFECTS])
        lines.append(Series(name, np.array(EFFECTS), power, power, power))
    title = "One better method gets its verdict (normal returns)"
    figure_curves(lines, args.out / "error_rates_power.svg", title, "standard deviations of a return", "% of studies")
    print_tables(table(results, "wrong", "studies of useless methods with at least one wrong verdict"))
    print_tables(table(results, "wrong without correction", "the same without Holm's correction"))
    print_tables(table(results, "wrong among all rows", "the same, of all rows compared with each other"))
    print_tables(table(broken, "wrong", "where methods differ from scratch in the shape of their law, not in its mean"))
    power = Table("better by", *results["normal"], title="power: one better method gets its verdict (normal returns)")
    for effect in EFFECTS[1:]:
        power.add_row(f"{effect} sd", *(f"{100 * x['power'][str(effect)]:.0f} %" for x in results["normal"].values()))
    print_tables(power)


if __name__ == "__main__":
    main()
