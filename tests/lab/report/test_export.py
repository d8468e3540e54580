"""A study's numbers for other programs: what is printed is what the study holds."""

import csv
import io
import pathlib
import sys

import pytest
from lab.fake_study import study as invented

from headstart.core.errors import InputError
from headstart.lab.cli import main
from headstart.lab.report import export
from headstart.lab.study import study_folder


def test_each_seed_and_point_has_a_line():
    study = invented()
    lines = list(csv.DictReader(io.StringIO(export.to_csv(study))))
    curve = study["methods"]["finetune"]["curve"]
    mine = [line for line in lines if line["row"] == "finetune"]
    assert len(mine) == len(study["seeds"]) * len(curve["returns"][0])
    found = [float(line["return"]) for line in mine if line["seed"] == "2"]
    assert found == curve["returns"][2]
    assert [float(line["target_steps"]) for line in mine if line["seed"] == "2"] == curve["steps"][2]
    (failed,) = (line for line in lines if line["failed"])
    assert (failed["row"], failed["seed"], failed["return"]) == ("epopt", "3", "")


def test_the_table_of_a_paper_has_every_row_and_no_letter_that_latex_takes_for_its_own():
    study = invented()
    study["methods"]["fine_tune 50%"] = study["methods"].pop("finetune")
    lines = export.to_latex(study).splitlines()
    assert [line for line in lines if line.startswith(r"fine\_tune 50\%")]
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(body) == len(study["methods"])
    columns = {line.count(" & ") for line in [*body, lines[3]]}
    assert len(columns) == 1
    assert lines[1] == rf"\begin{{tabular}}{{l{'r' * (columns.pop() - 2)}lr}}"
    assert all(letter.isascii() for line in body for letter in line)


def test_the_curves_are_a_pdf_that_is_the_same_each_time(tmp_path: pathlib.Path):
    for name in ("one", "other"):
        export.to_pdf(invented(), tmp_path / name)
    assert (tmp_path / "one").read_bytes()[:5] == b"%PDF-"
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"headstart\[figures\]"):
        export.to_pdf(invented(), tmp_path / "curves.pdf")


def test_the_command_prints_it(tmp_path, capsys):
    study_folder.write_study(tmp_path, invented())
    main(["export-table", str(tmp_path), "--csv"])
    assert capsys.readouterr().out == export.to_csv(invented())
    main(["export-table", str(tmp_path), "--latex"])
    assert capsys.readouterr().out == export.to_latex(invented())
    main(["export-table", str(tmp_path), "--pdf"])
    assert (tmp_path / "curves.pdf").exists()
    for words in ([], ["--csv", "--pdf"]):
        with pytest.raises(SystemExit):
            main(["export-table", str(tmp_path), *words])
        assert "Write one of --csv, --latex and --pdf." in capsys.readouterr().err
