"""The report shows the results of the study, loads nothing else, and is written if parts of the study are missing."""

import copy
import html.parser
import json
import random
import re

import numpy as np
import pytest
from lab.fake_study import study
from lab.report.fake_matrix import A, B, matrix

from headstart.lab.checkpoint.files import write
from headstart.lab.report.page import page, write_report
from headstart.lab.report.sentences import row_sentence
from headstart.lab.report.study_data import parse_study
from headstart.lab.report.summary import all_failed_sentence, best_row_sentence, summary_sentences
from headstart.lab.report.terminal_tables import study_tables
from headstart.lab.watch.clips import Clip, save
from headstart.protocol.comparisons import compare_pairs


class Checker(html.parser.HTMLParser):
    """Collects the text, the tags that are still open, and end tags that close nothing."""

    VOID = ("meta", "link", "input", "br", "wbr", "img", "source")

    def __init__(self):
        super().__init__()
        self.open, self.unmatched, self.texts, self.tags = [], [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unmatched.append(tag)

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def checked(data) -> Checker:
    """Returns the parsed report after the checks that every report has to pass."""
    source = page(data)
    checker = Checker()
    checker.feed(source)
    assert not checker.unmatched, f"unmatched end tags: {checker.unmatched}"
    assert not checker.open, f"open tags: {checker.open}"
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script src|<img", source), "the page loads something"
    assert not re.search(r"\bnan\b|\binf\b|None", source), "a missing number is written"
    assert source.startswith("<!DOCTYPE html>")
    return checker


@pytest.fixture(scope="module")
def full_study():
    return study()


def test_the_report_has_every_section(full_study):
    report = checked(full_study)
    for name in full_study["methods"]:
        assert name in report.text
    for title in (
        "Effect of transfer",
        "Learning curves",
        "Few-shot returns",
        "Generalization",
        "Metrics",
        "Verdicts",
        "Shift from source to target",
        "Cost",
        "Failures",
        "Reproduce",
    ):
        assert title in report.text
    assert full_study["provenance"]["command"] in report.text
    assert "torso_mass" in report.text
    assert "its knowledge was no longer finite in the target" in report.text
    assert "100 shots" in report.text.replace("\u202f", " ")


def test_the_report_is_one_small_file(full_study, tmp_path):
    write_report(full_study, tmp_path / "deep" / "report.html")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.html"]
    assert (tmp_path / "deep" / "report.html").stat().st_size < 500_000


def test_sentences_state_the_verdicts(full_study):
    parsed = parse_study(full_study)
    sentences = {row.name: row_sentence(row, parsed) for row in parsed.rows_with_control}
    assert sentences["finetune"].startswith("Finetuning from Hopper-v5 helped: over the same 200\u202f000 steps")
    assert "gets no verdict" in sentences["epopt"]
    assert "1 of its seeds failed, which counts against it" in sentences["epopt"]
    assert "1 of its 6 seeds failed, so it cannot get a positive verdict" in sentences["epopt"]
    assert "hurt" in sentences["finetune reset-head"]
    assert "learning from scratch averages more: 1" in sentences["naive"]
    fastest, certainty, effects, best, headroom = summary_sentences(parsed)
    assert best.startswith("finetune has the highest average return; it is significantly above naive")
    assert best.endswith("randomize may be as good.")
    assert fastest.startswith("finetune needs the fewest target episodes: it reaches a return of")
    assert certainty == "randomize may be as fast: the intervals of the times overlap."
    assert "finetune and randomize helped; finetune reset-head hurt; epopt got no verdict" in effects
    assert headroom.startswith("There is something to adapt")


def test_the_report_compares_all_pairs_of_rows(full_study):
    report = checked(full_study)
    assert "Which row is best?" in report.text
    assert "Finetune has the highest average return; it is significantly above naive, scratch" in report.text
    source = page(full_study)
    assert source.count('aria-label="significantly above"') == source.count('aria-label="significantly below"') > 5
    two = {**full_study, "pairs": {**full_study["pairs"], "rows": full_study["pairs"]["rows"][:2]}}
    assert "Which row is best?" not in checked(two).text
    for name in ("difference", "verdict", "leader", "beaten", "open"):
        for other in (None, [], [None]):
            checked({**full_study, "pairs": {**full_study["pairs"], name: other}})


def test_rows_with_equal_average_returns_are_named_together():
    returns = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert best_row_sentence(compare_pairs({"a": returns, "b": returns})) == "a and b share the highest average return."
    near, below = np.array([0.0, 2.5, 2.0, 4.5, 4.0]), returns - 1.0
    assert best_row_sentence(compare_pairs({"a": returns, "b": returns, "near": near, "below": below})) == (
        "a and b share the highest average return; a is significantly above below. near may be as good."
    )


def test_sentences_name_another_reference(full_study):
    """All other rows are then compared with it, including scratch."""
    data = copy.deepcopy(full_study)
    for name, row in data["methods"].items():
        row["control"] = None if name == "finetune" else "finetune"
    parsed = parse_study(data)
    assert [row.name for row in parsed.rows_with_control] == [
        "scratch",
        "naive",
        "randomize",
        "epopt",
        "finetune reset-head",
    ]
    sentence = row_sentence(next(row for row in parsed.rows_with_control if row.name == "finetune reset-head"), parsed)
    assert " by finetune." in sentence
    assert "Each row is compared with finetune" in checked(data).text
    figure = re.search(r"Difference from the control\. [^\"]*", page(data))
    assert figure is not None
    assert "scratch: " in figure.group()
    assert "finetune: " not in figure.group()
    _, verdicts, *_ = study_tables(data)
    assert str(verdicts.title).startswith("against finetune:")


def test_the_report_says_that_there_is_no_headroom(full_study):
    data = copy.deepcopy(full_study)
    data["shift"]["headroom"]["source_policy"] = 2800.0
    assert any(line.startswith("There is little to adapt") for line in summary_sentences(parse_study(data)))
    data["shift"] = {"differs": False}
    assert "Source and target are the same task" in checked(data).text


def test_tasks_without_a_measured_difference_are_not_called_the_same_task(full_study):
    data = copy.deepcopy(full_study)
    none = dict.fromkeys(("initial", "next_state", "reward", "termination", "return"), 0.0)
    changed = {"parameters": {"wind": {"source": "0", "target": "5", **none}}, "constant": ["goal_x", "goal_y"]}
    data["shift"] = {"differs": False, "same": False, "along_policy": True, **none, **changed}
    text = checked(data).text
    assert (
        "No difference was measured, although wind (0 → 5) differs. Either random actions and the source policy" in text
    )
    data["shift"] |= {"differs": True, "termination": 0.3}
    text = checked(data).text
    assert "Source and target differ in termination (small). goal_x and goal_y are constant in the source" in text


def test_without_learning_the_report_says_nothing_about_adapting(full_study):
    data = json.loads(json.dumps(full_study))
    data |= {"threshold": None, "no_threshold": "nothing was learned"}
    data["shift"]["headroom"] |= {"learned": False, "share": None}
    text = " ".join(summary_sentences(parse_study(data)))
    assert text.startswith("Nothing was learned on the target: ")
    assert "to adapt" not in text
    assert "Nothing was learned on the target" in str(next(study_tables(data)).caption)


def test_a_study_whose_rows_all_failed_gives_the_reason(full_study):
    data = json.loads(json.dumps(full_study))
    for row in data["methods"].values():
        row |= {"failed": {"0": "it broke"}, "curve": {}, "shots": {}, "metrics": {}, "ledger": {}, "difference": None}
    data |= {"reference": {"random": None, "oracle": None}, "reference_failed": {"oracle": {"0": "it broke too"}}}
    (sentence,) = summary_sentences(parse_study(data))
    assert sentence.endswith(": it broke. The same command runs them again.")
    assert "it broke too" in checked(data).text
    caption = str(next(study_tables(data)).caption)
    assert "finetune failed in every seed: it broke\n" in caption
    assert "oracle failed in every seed: it broke too" in caption
    assert all_failed_sentence(full_study) is None


def test_the_terminal_table_of_one_seed_without_an_oracle(full_study):
    data = full_study | {"seeds": [3], "reference": full_study["reference"] | {"oracle": None}}
    first = next(study_tables(data))
    assert str(first.caption).startswith("one seed")
    assert "oracle" not in list(first.columns[0].cells)


def test_the_best_of_a_column_is_bold_only_if_its_interval_is_above_all_others(full_study):
    data = copy.deepcopy(full_study)
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
def test_the_report_is_written_if_any_part_is_null(place):
    data = copy.deepcopy(SMALL)
    parent = data
    for name in place[:-1]:
        parent = parent[name]
    parent[place[-1]] = None
    checked(data)


def _prune(data, share, rng):
    """Returns the data without a random share of its entries."""
    if isinstance(data, dict):
        return {name: _prune(x, share, rng) for name, x in data.items() if rng.random() > share}
    return data


@pytest.mark.parametrize("seed", range(10))
def test_the_report_is_written_if_many_parts_are_missing(seed):
    checked(_prune(SMALL, 0.05 * (1 + seed), random.Random(seed)))


def test_the_report_is_written_for_an_empty_study():
    assert "nothing to compare yet" in checked({}).text


def test_one_seed_has_no_verdict():
    data = study(seeds=1)
    for method in data["methods"].values():
        method["generalisation"] = None  # the fake study always gives them intervals
    report = checked(data)
    assert "One seed gives no interval" in report.text
    assert "gets no verdict from one seed" in report.text
    assert "another seed may give other results" in report.text
    assert "strong" not in report.tags
    assert not {"helped", "hurt", "no significant difference"} & {text.strip() for text in report.texts}
    assert "made no significant difference" not in report.text
    assert "learning from scratch averages" in report.text


def test_the_report_gives_the_reason_of_a_row_that_failed_in_every_seed(full_study):
    data = copy.deepcopy(full_study)
    reason = "RuntimeError: the simulator gave up"
    data["methods"]["epopt"] = {"failed": {"0": reason, "1": reason}, "shots": {}, "ledger": {}, "metrics": {}}
    assert f"It failed in every seed: {reason}." in checked(data).text


def test_the_report_is_written_for_constant_curves():
    data = study(seeds=3)
    for method in data["methods"].values():
        curve = method["curve"]
        points = len(curve["iqm"])
        curve |= {key: [0.0] * points for key in ("iqm", "low", "high")}
    data["reference"] = {}
    checked(data)


def test_bands_are_computed_if_the_study_has_only_the_returns_of_seeds(full_study):
    data = copy.deepcopy(full_study)
    for key in ("iqm", "low", "high"):
        del data["methods"]["finetune"]["curve"][key]
    before, after = (parse_study(x).row("finetune") for x in (full_study, data))
    assert before is not None
    assert after is not None
    assert before.curve is not None
    assert after.curve is not None
    assert after.curve.iqm == pytest.approx(before.curve.iqm)


def test_names_are_escaped(full_study):
    text = json.dumps(full_study).replace("Hopper-v5", "<b>Hop&per</b>").replace("epopt", "<script>alert('x')</script>")
    report = checked(json.loads(text))
    assert "<b>Hop&per</b>" in report.text
    assert "b" not in report.tags
    assert page(json.loads(text)).count("<script>") == 1


def test_rows_that_cannot_run_are_listed_with_the_reason(full_study):
    why = "SAC needs continuous actions, and this task's are discrete; use DQN or PPO."
    without = {**full_study, "left_out": {"darc": why}}
    assert "Left out" not in checked(full_study).text
    assert why in checked(without).text
    assert f"darc is left out. {why}" in str([table.caption for table in study_tables(without)])


def test_the_report_says_that_a_study_is_unfinished(full_study):
    assert "This study is not finished" in checked({**full_study, "status": "running"}).text
    assert "This study is not finished" not in checked(full_study).text


@pytest.fixture(scope="module")
def two_sources(full_study):
    return {**full_study, "matrix": matrix()}


def test_a_study_of_two_sources_shows_each_source_on_each_task(two_sources, full_study):
    report = checked(two_sources)
    assert "Each source on each task" not in checked(full_study).text
    assert "Each source on each task" in report.text
    assert "1 · goal=-1,side=left" in report.text
    assert "joint failed: ZeroDivisionError: the arm fell off." in report.text
    assert re.search(r"Interference: joint scores 20.* less on Arm@goal=-1,side=left than", report.text)
    source = page(two_sources)
    assert f"Negative transfer: learned on {A} on {B}." in source
    assert source.count("▼ −30") == 1  # not only by color
    assert source.count("negative transfer</span>") == 1
    assert source.count('stroke-width="1.6"') == 4  # framed: tasks that the row trained on


def test_the_report_says_why_the_matrix_is_left_out(full_study):
    why = "Separate cannot stop one task's updates and continue the others'; leave target_kl out."
    data = {**full_study, "matrix": {"left_out": why}}
    assert f"This section is left out. {why}" in checked(data).text
    _, last, *_ = study_tables(data)
    assert f"the transfer matrix is left out. {why}" in str(last.caption)


def test_the_terminal_matrix_marks_negative_transfer(two_sources):
    *_, last = study_tables(two_sources)
    columns = [list(column.cells) for column in last.columns]
    assert columns[0] == [*two_sources["matrix"]["rows"], "untrained"]
    assert columns[2][0] == "-30 [-30.8, -29.2] ▼"
    assert columns[1][1] == "–"


@pytest.mark.parametrize("name", ["rows", "columns", "learned_on", "value", "difference", "mark", "interference", ""])
def test_the_report_is_written_if_parts_of_the_matrix_are_missing(two_sources, name):
    for other in ({name: None}, {name: [None]}, {"untrained": None, "failed": None}):
        checked({"matrix": {**two_sources["matrix"], **other}})


def test_the_report_shows_clips_or_says_why_they_are_missing(tmp_path):
    clip = Clip([np.full((9, 18, 3), 80 * i, np.uint8) for i in range(3)], 3, 6, 1_000, 310.0)
    save([clip], tmp_path / "clips" / "finetune" / "before.webp")
    write(tmp_path / "clips" / "epopt" / "before.webp", b"half of it")
    record = {"seed": 0, "return": 310.0, "steps": 1_000, "steps_shown": 6, "failed": None}
    data = study() | {
        "clips": {
            "finetune": {"before": record, "after": {"failed": "There is no display."}},
            "epopt": {"before": record},
            "scratch": {"before": {"steps": "many"}},
        }
    }
    source = page(data, tmp_path)
    checker = Checker()
    checker.feed(source)
    assert not checker.unmatched
    assert "Before and after" in checker.text
    assert "Before: return 310, the first 6 of 1 000 steps" in checker.text
    assert "After: no clip. There is no display." in checker.text
    assert checker.text.count("Its file is missing or damaged") == 2
    assert source.count("<img ") == source.count('media="(prefers-reduced-motion: reduce)"') == 1
    assert 'alt="finetune, before: the first 6 of 1\u202f000 steps, return 310."' in source
    assert "Before and after" not in page(study())
