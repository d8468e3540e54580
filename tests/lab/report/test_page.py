"""The report holds what the study claims, stands alone, and survives whatever is missing."""

import copy
import html.parser
import json
import random
import re

import numpy as np
import pytest
from lab.fake_study import study

from headstart.lab.checkpoint.files import jsonable, write
from headstart.lab.report.answer import all_failed, best_row_sentence, summary_sentences
from headstart.lab.report.page import page, write_report
from headstart.lab.report.sentences import row_sentence
from headstart.lab.report.study_data import parse_study
from headstart.lab.report.terminal_tables import study_tables
from headstart.lab.watch.clips import Clip, save
from headstart.protocol.comparisons import compare_pairs
from headstart.protocol.transfer_matrix import assemble_matrix


class Checker(html.parser.HTMLParser):
    """Gathers the text, and every way in which the tags do not fit together."""

    EMPTY = ("meta", "link", "input", "br", "wbr", "img", "source")

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.words, self.tags = [], [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def checked(data) -> Checker:
    """Returns the parsed report, after the checks that every report has to pass."""
    source = page(data)
    checker = Checker()
    checker.feed(source)
    assert not checker.wrong, f"these close nothing: {checker.wrong}"
    assert not checker.open, f"these are never closed: {checker.open}"
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script src|<img", source), "it would fetch something"
    assert not re.search(r"\bnan\b|\binf\b|None", source), "a number that is none got through"
    assert source.startswith("<!DOCTYPE html>")
    return checker


@pytest.fixture(scope="module")
def whole():
    return study()


def test_it_holds_every_part(whole):
    report = checked(whole)
    for name in whole["methods"]:
        assert name in report.text
    for part in (
        "What transfer did",
        "Learning curves",
        "Few shots",
        "Generalisation",
        "Metrics",
        "Verdicts",
        "The shift",
        "Ledger",
        "Failures",
        "Reproduce",
    ):
        assert part in report.text
    assert whole["provenance"]["command"] in report.text
    assert "torso_mass" in report.text
    assert "its knowledge was no longer finite in the target" in report.text
    assert "100 shots" in report.text.replace("\u202f", " ")


def test_writing_leaves_one_file_of_a_size_to_mail(whole, tmp_path):
    write_report(whole, tmp_path / "deep" / "report.html")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.html"]
    assert (tmp_path / "deep" / "report.html").stat().st_size < 500_000


def test_the_verdicts_are_said_in_words(whole):
    told = parse_study(whole)
    said = {row.name: row_sentence(row, told) for row in told.rows_with_control}
    assert said["finetune"].startswith("Finetuning from Hopper-v5 helped: over the same 200\u202f000 steps")
    assert "gets no verdict" in said["epopt"]
    assert "1 of its seeds failed, which counts against it" in said["epopt"]
    assert "1 of its 6 seeds failed" in said["epopt"]
    assert "hurt" in said["finetune reset-head"]
    assert "learning from scratch averages more: 1" in said["naive"]
    first, rivals, overall, leading, room = summary_sentences(told)
    assert leading.startswith("finetune has the highest average of all rows; it is clearly above naive")
    assert leading.endswith("randomize may be as good.")
    assert first.startswith("finetune gets the target in the fewest episodes")
    assert rivals == "randomize may be as fast: the intervals of their times overlap."
    assert "finetune and randomize helped; finetune reset-head hurt; epopt got no verdict" in overall
    assert room.startswith("There is something to adapt")


def test_every_row_stands_beside_every_other(whole):
    report = checked(whole)
    assert "Which row is best?" in report.text
    assert "Finetune has the highest average of all rows; it is clearly above naive, scratch" in report.text
    source = page(whole)
    assert source.count('aria-label="clearly above"') == source.count('aria-label="clearly below"') > 5
    two = {**whole, "pairs": {**whole["pairs"], "rows": whole["pairs"]["rows"][:2]}}
    assert "Which row is best?" not in checked(two).text
    for name in ("difference", "verdict", "leader", "beaten", "open"):
        for other in (None, [], [None]):
            checked({**whole, "pairs": {**whole["pairs"], name: other}})


def test_rows_of_equal_averages_share_the_lead():
    luck = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert best_row_sentence(compare_pairs({"a": luck, "b": luck})) == "a and b share the highest average of all rows."
    near, below = np.array([0.0, 2.5, 2.0, 4.5, 4.0]), luck - 1.0
    assert best_row_sentence(compare_pairs({"a": luck, "b": luck, "near": near, "below": below})) == (
        "a and b share the highest average of all rows; a is clearly above below. near may be as good."
    )


def test_another_reference_is_named_in_the_words(whole):
    """Rows are then compared with it, scratch among them."""
    data = copy.deepcopy(whole)
    for name, row in data["methods"].items():
        row["control"] = None if name == "finetune" else "finetune"
    told = parse_study(data)
    assert [row.name for row in told.rows_with_control] == [
        "scratch",
        "naive",
        "randomize",
        "epopt",
        "finetune reset-head",
    ]
    said = row_sentence(next(row for row in told.rows_with_control if row.name == "finetune reset-head"), told)
    assert " by finetune." in said
    assert "Each row against finetune" in checked(data).text
    figure = re.search(r"Difference from the control\. [^\"]*", page(data))
    assert figure is not None
    assert "scratch: " in figure.group()
    assert "finetune: " not in figure.group()
    _, verdicts, *_ = study_tables(data)
    assert str(verdicts.title).startswith("against finetune:")


def test_a_study_without_room_says_so(whole):
    data = copy.deepcopy(whole)
    data["shift"]["headroom"]["source_policy"] = 2800.0
    assert any(line.startswith("There is little to adapt") for line in summary_sentences(parse_study(data)))
    data["shift"] = {"differs": False}
    assert "Source and target are the same task" in checked(data).text


def test_no_difference_found_is_not_called_the_same_task(whole):
    data = copy.deepcopy(whole)
    none = dict.fromkeys(("initial", "next_state", "reward", "termination", "return"), 0.0)
    changed = {"parameters": {"wind": {"source": "0", "target": "5", **none}}, "constant": ["goal_x", "goal_y"]}
    data["shift"] = {"differs": False, "same": False, "along_policy": True, **none, **changed}
    said = checked(data).text
    assert "No difference was found, though wind (0 → 5) differs: random actions and the source's policy do not" in said
    data["shift"] |= {"differs": True, "termination": 0.3}
    said = checked(data).text
    assert "Source and target differ in when episodes end (small). goal_x and goal_y never vary in the source" in said


def test_what_nobody_learned_leaves_nothing_to_say_of_adapting(whole):
    data = json.loads(json.dumps(whole))
    data |= {"threshold": None, "no_threshold": "nothing was learned"}
    data["shift"]["headroom"] |= {"learned": False, "share": None}
    said = " ".join(summary_sentences(parse_study(data)))
    assert said.startswith("Nothing was learned on the target: ")
    assert "to adapt" not in said
    assert "Nothing was learned on the target" in str(next(study_tables(data)).caption)


def test_a_study_of_failures_says_why(whole):
    data = json.loads(json.dumps(whole))
    for row in data["methods"].values():
        row |= {"failed": {"0": "it broke"}, "curve": {}, "shots": {}, "metrics": {}, "ledger": {}, "difference": None}
    data |= {"reference": {"random": None, "oracle": None}, "reference_failed": {"oracle": {"0": "it broke too"}}}
    (said,) = summary_sentences(parse_study(data))
    assert said.endswith(": it broke. The same command runs them again.")
    assert "it broke too" in checked(data).text
    caption = str(next(study_tables(data)).caption)
    assert "finetune failed in every seed: it broke\n" in caption
    assert "oracle failed in every seed: it broke too" in caption
    assert all_failed(whole) is None


def test_the_table_of_one_seed_without_an_oracle_has_neither_seeds_nor_an_oracle(whole):
    data = whole | {"seeds": [3], "reference": whole["reference"] | {"oracle": None}}
    first = next(study_tables(data))
    assert str(first.caption).startswith("one seed")
    assert "oracle" not in list(first.columns[0].cells)


def test_the_best_of_a_column_is_bold_only_where_it_is_clear(whole):
    data = copy.deepcopy(whole)
    near, far = {"iqm": 5.0, "low": 4.0, "high": 6.0}, {"iqm": 9.0, "low": 8.0, "high": 10.0}
    for name, method in data["methods"].items():
        method.pop("generalisation", None)
        method["shots"] = {"0": near, "10": far if name == "finetune" else near}
    data["shots"] = [0, 10]
    bold = re.findall(r"<strong>(.*?)</strong>", page(data))
    assert bold == ["9.0"]


SMALL = study(seeds=2)
SMALL["methods"] = {name: SMALL["methods"][name] for name in ("naive", "scratch", "finetune", "epopt")}
PLACES = [
    *((name,) for name in SMALL),
    *(("methods", "epopt", name) for name in SMALL["methods"]["epopt"]),
    *(("methods", "scratch", name) for name in ("curve", "metrics", "shots")),
]


@pytest.mark.parametrize("place", PLACES, ids="/".join)
def test_it_survives_any_part_that_is_null(place):
    data = copy.deepcopy(SMALL)
    parent = data
    for name in place[:-1]:
        parent = parent[name]
    parent[place[-1]] = None
    checked(data)


def _pruned(data, share, chance):
    """Returns the data without a share of everything in it."""
    if isinstance(data, dict):
        return {name: _pruned(x, share, chance) for name, x in data.items() if chance.random() > share}
    return data


@pytest.mark.parametrize("seed", range(10))
def test_it_survives_many_parts_that_are_missing(seed):
    checked(_pruned(SMALL, 0.05 * (1 + seed), random.Random(seed)))


def test_it_survives_nothing_at_all():
    assert "nothing to compare yet" in checked({}).text


def test_one_seed_has_no_verdict():
    data = study(seeds=1)
    for method in data["methods"].values():
        method["generalisation"] = None  # which the fake makes up, with intervals
    report = checked(data)
    assert "One seed gives no interval" in report.text
    assert "cannot be judged by one seed" in report.text
    assert "another may tell it otherwise" in report.text
    assert "strong" not in report.tags
    assert not {"helped", "hurt", "no clear difference"} & {word.strip() for word in report.words}
    assert "made no clear difference" not in report.text
    assert "learning from scratch averages" in report.text


def test_a_method_that_failed_in_every_seed(whole):
    data = copy.deepcopy(whole)
    reason = "RuntimeError: the simulator gave up"
    data["methods"]["epopt"] = {"failed": {"0": reason, "1": reason}, "shots": {}, "ledger": {}, "metrics": {}}
    assert f"It failed in every seed: {reason}." in checked(data).text


def test_curves_that_never_move():
    data = study(seeds=3)
    for method in data["methods"].values():
        curve = method["curve"]
        points = len(curve["iqm"])
        curve |= {key: [0.0] * points for key in ("iqm", "low", "high")}
    data["reference"] = {}
    checked(data)


def test_bands_are_worked_out_where_only_the_seeds_are_told(whole):
    data = copy.deepcopy(whole)
    for key in ("iqm", "low", "high"):
        del data["methods"]["finetune"]["curve"][key]
    before, after = (parse_study(x).row("finetune") for x in (whole, data))
    assert before is not None
    assert after is not None
    assert before.curve is not None
    assert after.curve is not None
    assert after.curve.iqm == pytest.approx(before.curve.iqm)


def test_names_cannot_break_the_page(whole):
    text = json.dumps(whole).replace("Hopper-v5", "<b>Hop&per</b>").replace("epopt", "<script>alert('x')</script>")
    report = checked(json.loads(text))
    assert "<b>Hop&per</b>" in report.text
    assert "b" not in report.tags
    assert page(json.loads(text)).count("<script>") == 1


def test_rows_that_cannot_run_are_named_with_their_reason(whole):
    why = "SAC needs continuous actions, and this task's are discrete; use DQN or PPO."
    without = {**whole, "left_out": {"darc": why}}
    assert "Left out" not in checked(whole).text
    assert why in checked(without).text
    assert f"darc is left out. {why}" in str([table.caption for table in study_tables(without)])


def test_an_unfinished_study_says_so(whole):
    assert "This study is not finished" in checked({**whole, "status": "running"}).text
    assert "This study is not finished" not in checked(whole).text


A, B, TARGET = "Arm@goal=-1,side=left", "Arm@goal=1", "Arm@goal=0"
FAR = np.array([-1.0, 0.5, 0.0, -0.5, 1.0])  # of five seeds


@pytest.fixture(scope="module")
def several(whole):
    """Returns a study of two sources: training on A is worse than nothing on B, and joint training lost on A."""
    returns = np.array([[90 + FAR, -30 + FAR, 5 * FAR], [FAR * np.nan, 90 + FAR, 20 + FAR], [70 + FAR] * 3])
    rows = [f"learned on {A}", f"learned on {B}", "joint"]
    found = assemble_matrix(rows, [A, B, TARGET], [[A], [B], [A, B]], returns, 0.1 * np.array([FAR] * 3))
    return {**whole, "matrix": jsonable({**found, "failed": {"joint": "ZeroDivisionError: the arm fell off"}})}


def test_a_study_of_several_sources_shows_each_on_each_task(several, whole):
    report = checked(several)
    assert "Each source on each task" not in checked(whole).text
    assert "Each source on each task" in report.text
    assert "1 · goal=-1,side=left" in report.text
    assert "joint broke: ZeroDivisionError: the arm fell off." in report.text
    assert re.search(r"Interference: joint gets 20.* less on Arm@goal=-1,side=left than", report.text)
    source = page(several)
    assert f"Negative transfer: learned on {A} on {B}." in source
    assert source.count("▼ −30") == 1  # not by colour alone
    assert source.count("negative transfer</span>") == 1
    assert source.count('stroke-width="1.6"') == 4  # framed: what each row learned


def test_a_matrix_that_was_left_out_says_why(whole):
    why = "Separate cannot stop one task's updates and continue the others'; leave target_kl out."
    data = {**whole, "matrix": {"left_out": why}}
    assert f"It is left out. {why}" in checked(data).text
    _, last, *_ = study_tables(data)
    assert f"the matrix of sources is left out. {why}" in str(last.caption)


def test_the_printed_matrix_marks_what_is_worse_than_nothing(several):
    *_, last = study_tables(several)
    told = [list(column.cells) for column in last.columns]
    assert told[0] == [*several["matrix"]["rows"], "untrained"]
    assert told[2][0] == "-30 [-30.8, -29.2] ▼"
    assert told[1][1] == "–"


@pytest.mark.parametrize("name", ["rows", "columns", "learned_on", "value", "difference", "mark", "interference", ""])
def test_a_matrix_survives_what_is_missing(several, name):
    for other in ({name: None}, {name: [None]}, {"untrained": None, "failed": None}):
        checked({"matrix": {**several["matrix"], **other}})


def test_clips_are_shown_side_by_side_or_said_to_be_missing(tmp_path):
    take = Clip([np.full((9, 18, 3), 80 * i, np.uint8) for i in range(3)], 3, 6, 1_000, 310.0)
    save([take], tmp_path / "clips" / "finetune" / "before.webp")
    write(tmp_path / "clips" / "epopt" / "before.webp", b"half of it")
    shown = {"seed": 0, "return": 310.0, "steps": 1_000, "steps_shown": 6, "failed": None}
    data = study() | {
        "clips": {
            "finetune": {"before": shown, "after": {"failed": "There is no display."}},
            "epopt": {"before": shown},
            "scratch": {"before": {"steps": "many"}},
        }
    }
    source = page(data, tmp_path)
    checker = Checker()
    checker.feed(source)
    assert not checker.wrong
    assert "Before and after" in checker.text
    assert "Before: return 310, the first 6 of 1 000 steps" in checker.text
    assert "After: no clip. There is no display." in checker.text
    assert checker.text.count("Its file is gone, or damaged") == 2
    assert source.count("<img ") == source.count('media="(prefers-reduced-motion: reduce)"') == 1
    assert 'alt="finetune, before: the first 6 of 1\u202f000 steps, return 310."' in source
    assert "Before and after" not in page(study())
