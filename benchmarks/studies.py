"""Complete studies, as a user runs them: one where transfer should help, one where it should hurt.

    python benchmarks/studies.py                  # all of them, 10 seeds: about 40 minutes on 2 cores
    python benchmarks/studies.py reversed         # one
    python benchmarks/studies.py --tiny           # checks that they run

`heavier` is Hopper to a Hopper with a torso of 9 kg (nominal: 3.67), with the ensemble of 3 to 9 kg. `reversed` is
CartPole to a CartPole whose motor pushes the other way: the source policy is exactly wrong there.
"""

import dataclasses
import shutil

from flags import RUNS, flags, read

from headstart.lab.checkpoint.files import write_json
from headstart.lab.cli.commands import plan
from headstart.lab.report.terminal_tables import print_tables, study_tables
from headstart.lab.study.runner import compare
from headstart.lab.study.study_folder import read_study
from headstart.lab.watch.progress_bar import ProgressBar, console
from headstart.protocol.study_config import StudyConfig

STUDIES = {
    "heavier": StudyConfig(
        source="Hopper-v5",
        target="Hopper-v5@torso_mass=9",
        ensemble="Hopper-v5@torso_mass=3..9",
        methods=("scratch", "naive", "finetune", "randomize", "epopt"),
        source_steps=300_000,
        target_steps=100_000,
        shots=(0, 1, 10, 50),
        seeds=tuple(range(10)),
    ),
    "reversed": StudyConfig(
        source="CartPole-v1",
        target="CartPole-v1@force=-10",
        methods=("scratch", "naive", "finetune", "finetune:reset_head=true"),
        source_steps=100_000,
        target_steps=50_000,
        shots=(0, 1, 10, 100),
        seeds=tuple(range(10)),
    ),
}


def main() -> None:
    """Runs the named studies, and writes the record (with every seed's curve) and the figure of each."""
    parser = flags(__doc__, RUNS / "studies")
    parser.add_argument("names", nargs="*", choices=[*STUDIES, []], help="which (all where none is named)")
    args = read(parser)
    for name in args.names or STUDIES:
        config, folder = STUDIES[name], args.work / name
        if args.tiny:
            small = {"source_steps": 2_000, "target_steps": 2_000, "shots": (0, 1), "seeds": (0, 1)}
            few = (*config.methods[:2], config.methods[-1])
            config = dataclasses.replace(config, methods=few, **small)
            folder = args.work / f"{name}-tiny"
        command = f"python benchmarks/studies.py {name}" + (" --tiny" if args.tiny else "")
        with ProgressBar(plan(config), console()) as board:
            compare(config, folder, command=command, watch=board)
        data = read_study(folder)
        write_json(args.out / f"{name}.json", data)
        shutil.copy(folder / "curves.svg", args.out / f"{name}.svg")
        print_tables(*study_tables(data))


if __name__ == "__main__":
    main()
