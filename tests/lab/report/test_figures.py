"""SVG files are valid XML, load nothing else, and draw everything inside their frame."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from headstart.lab.report.figures import HEIGHT, WIDTH, figure_curves, figure_sweep
from headstart.lab.report.line_chart import Reference, Scale, Series, scales
from headstart.lab.report.styles import PAPER, assign_styles


def _series(name: str, offset: float = 0.0) -> Series:
    x = np.linspace(0.0, 200_000.0, 12)
    y = 3000.0 * (1 - np.exp(-x / 6e4)) + offset
    return Series(name, x, y, y - 150.0, y + 120.0)


def test_learning_curves_have_labels_and_stay_inside_the_frame(tmp_path):
    file = tmp_path / "curves.svg"
    figure_curves(
        [_series("scratch"), _series("a & b", 400.0)], file, "Title", references=[Reference("oracle", 3600.0)]
    )
    root = ET.parse(file).getroot()
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert {"Title", "scratch", "a & b", "oracle", "target steps", "return"} <= set(texts)
    assert "var(" not in file.read_text()  # a file has no page that sets CSS variables
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)", file.read_text())
    numbers = [float(x) for path in root.iter() if path.tag.endswith("path") for x in _points(path)]
    assert min(numbers) >= 0.0
    assert max(numbers) <= max(WIDTH, HEIGHT)


def _points(path: ET.Element) -> list[str]:
    return re.findall(r"\d+\.\d", path.get("d", "")) if path.get("transform") is None else []


def test_a_legend_with_many_lines_wraps(tmp_path):
    file = tmp_path / "sweep.svg"
    masses = np.arange(3.0, 10.0)
    policies = [f"trained at mass {m:g} only" for m in masses]
    figure_sweep(
        [_series(name)._replace(x=masses, y=masses, low=masses, high=masses) for name in policies], file, "t", "m"
    )
    texts = [node for node in ET.parse(file).getroot().iter() if node.tag.endswith("text") and node.text in policies]
    assert len(texts) == 7
    assert len({node.get("y") for node in texts}) > 1
    assert all(float(node.get("x", "inf")) < WIDTH - 100 for node in texts)


def test_curves_with_gaps_or_a_single_point_are_drawn(tmp_path):
    gap = _series("finetune")
    gap.y[3] = np.nan
    x, y, low, high = np.array([[0.0], [310.0], [300.0], [320.0]])
    level = Series("naive", x, y, low, high)
    figure_curves([gap, level], tmp_path / "a.svg", "t", log=True)
    assert "nan" not in (tmp_path / "a.svg").read_text()


def test_a_figure_without_curves_is_valid(tmp_path):
    figure_curves([], tmp_path / "a.svg", "t")
    ET.parse(tmp_path / "a.svg")


def test_a_log_scale_includes_zero():
    scale = Scale(0.0, 99.0, 0.0, 200.0, log=True)
    assert scale(0.0) == 0.0
    assert scale(9.0) == pytest.approx(100.0)  # log(10) is half of log(100)
    assert scale(99.0) == pytest.approx(200.0)
    assert scale.ticks(5) == [0.0, 1.0, 10.0]


def test_ticks_are_round_numbers_inside_the_scale():
    assert Scale(-10.0, 105.0, 0.0, 1.0).ticks(5) == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert Scale(0.0, 0.35, 0.0, 1.0).ticks(4) == [0.0, 0.1, 0.2, 0.3]


def test_axes_contain_the_bands_and_the_references():
    x, y = scales([_series("a")], [Reference("oracle", 5000.0)], 540.0, 380.0, False)
    assert y.high > 5000.0
    assert y.low < -150.0
    assert (x.low, x.high) == (0.0, 200_000.0)


def test_each_method_has_its_own_style():
    names = ["scratch", "naive", *(f"m{i}" for i in range(12))]
    styles = assign_styles(names, PAPER)
    assert len(set(styles.values())) == len(names)
