from pathlib import Path

import pytest

from ops.paths import ROOT
from ops.procfile import UnknownProgram, choose_programs, read_procfile

NAMES = ["web", "dispatcher", "worker", "beat", "flower", "mailbox"]


def test_every_line_of_the_procfile_replaces_its_shell_so_that_signals_reach_the_program() -> None:
    programs = read_procfile(ROOT / "Procfile")

    assert [program.name for program in programs] == NAMES
    assert [program.name for program in programs if not program.command.startswith("exec ")] == []


def test_programs_are_chosen_and_multiplied_in_the_order_of_the_file() -> None:
    chosen = choose_programs(read_procfile(ROOT / "Procfile"), only=["worker", "web"], replicas={"worker": 3})

    assert [program.name for program in chosen] == ["web", "worker", "worker.2", "worker.3"]
    assert len({program.command for program in chosen}) == 2


@pytest.mark.parametrize(("only", "replicas"), [(["wrokers"], None), (None, {"wrokers": 2})])
def test_an_unknown_name_is_refused(only: list[str] | None, replicas: dict[str, int] | None) -> None:
    with pytest.raises(UnknownProgram, match="wrokers"):
        choose_programs(read_procfile(ROOT / "Procfile"), only, replicas)


def test_comments_and_empty_lines_are_no_programs(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("# all of it\n\nweb: exec true\n")

    assert [program.name for program in read_procfile(tmp_path / "Procfile")] == ["web"]
