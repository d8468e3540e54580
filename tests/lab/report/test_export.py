"""Exported numbers equal those of the study."""

import csv
import io
import pathlib
import sys

import pytest
from lab.fake_study import study as fake_study

from headstart.core.errors import InputError
from headstart.lab.cli import main
from headstart.lab.report import export
from headstart.lab.study import study_folder


def test_the_csv_has_a_line_for_each_seed_and_point():
    study = fake_study()
    lines = list(csv.DictReader(io.StringIO(export.to_csv(study))))
    curve = study["methods"]["finetune"]["curve"]
    finetune = [line for line in lines if line["row"] == "finetune"]
    assert len(finetune) == len(study["seeds"]) * len(curve["returns"][0])
    returns = [float(line["return"]) for line in finetune if line["seed"] == "2"]
    assert returns == curve["returns"][2]
    assert [float(line["target_steps"]) for line in finetune if line["seed"] == "2"] == curve["steps"][2]
    (failed,) = (line for line in lines if line["failed"])
    assert (failed["row"], failed["seed"], failed["return"]) == ("epopt", "3", "")


def test_the_latex_table_has_every_row_and_escapes_special_characters():
    study = fake_study()
    study["methods"]["fine_tune 50%"] = study["methods"].pop("finetune")
    lines = export.to_latex(study).splitlines()
    assert [line for line in lines if line.startswith(r"fine\_tune 50\%")]
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(body) == len(study["methods"])
    columns = {line.count(" & ") for line in [*body, lines[3]]}
    assert len(columns) == 1
    assert lines[1] == rf"\begin{{tabular}}{{l{'r' * (columns.pop() - 2)}lr}}"
    assert all(letter.isascii() for line in body for letter in line)


def test_the_pdf_of_the_curves_is_reproducible(tmp_path: pathlib.Path):
    for name in ("first", "second"):
        export.to_pdf(fake_study(), tmp_path / name)
    assert (tmp_path / "first").read_bytes()[:5] == b"%PDF-"
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"headstart\[figures\]"):
        export.to_pdf(fake_study(), tmp_path / "curves.pdf")


def test_export_table_prints_or_writes_each_format(tmp_path, capsys):
    study_folder.write_study(tmp_path, fake_study())
    main(["export-table", str(tmp_path), "--csv"])
    assert capsys.readouterr().out == export.to_csv(fake_study())
    main(["export-table", str(tmp_path), "--latex"])
    assert capsys.readouterr().out == export.to_latex(fake_study())
    main(["export-table", str(tmp_path), "--pdf"])
    assert (tmp_path / "curves.pdf").exists()
    for options in ([], ["--csv", "--pdf"]):
        with pytest.raises(SystemExit):
            main(["export-table", str(tmp_path), *options])
        assert "Write one of --csv, --latex and --pdf." in capsys.readouterr().err
