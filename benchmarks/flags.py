"""The flags that every benchmark has."""

import argparse
import pathlib

RESULTS = pathlib.Path(__file__).parent / "results"
RUNS = pathlib.Path(__file__).parents[1] / "runs"


def flags(about: str | None, work: pathlib.Path) -> argparse.ArgumentParser:
    """Returns a parser of --tiny, --work and --out, which says what the benchmark is about."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="two seeds, a few thousand steps: checks that it runs")
    parser.add_argument("--work", type=pathlib.Path, default=work, help="where it goes on from what is there")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS, help="where the record and the figure go")
    return parser


def sized(parser: argparse.ArgumentParser, steps: int, seeds: int = 5) -> argparse.ArgumentParser:
    """Returns the parser with --steps and --seeds too, at their defaults."""
    parser.add_argument("--steps", type=lambda text: int(float(text)), default=steps, help="environment steps a seed")
    parser.add_argument("--seeds", type=int, default=seeds, help="how many")
    return parser


def read(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Returns the arguments. Results of --tiny go to runs/tiny, never to the results' folder, unless --out says so."""
    args = parser.parse_args()
    for name in ("work", "out"):
        if args.tiny and getattr(args, name) == parser.get_default(name):
            setattr(args, name, RUNS / "tiny" / name)
    return args
