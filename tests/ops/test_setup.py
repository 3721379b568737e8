import re
import subprocess
from pathlib import Path

import pytest

from ops import setup
from ops.paths import ROOT

PINNED = ("requirements.txt", "requirements-local.txt", "requirements-dev.txt")
BENCH = "requirements-bench.txt"
HEIC = "requirements-heic.txt"


def run_setup(search_path: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", "ops/setup.sh", "local"]
    return subprocess.run(command, cwd=ROOT, env={"PATH": search_path}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shims", [[], ["python3", "python3.11", "python3.12"]])
def test_without_a_python_that_fits_one_line_says_so(tmp_path: Path, shims: list[str]) -> None:
    for name in shims:
        (tmp_path / name).write_text("#!/bin/sh\necho version not installed >&2\nexit 127\n")
        (tmp_path / name).chmod(0o755)

    answer = run_setup(str(tmp_path))

    assert answer.returncode == 1
    assert answer.stderr.startswith("jobyard: no Python 3.11, 3.12 or 3.13 found")
    assert answer.stderr.count("\n") == 1


def test_the_command_is_run_by_the_python_of_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binaries = tmp_path / "a 'venv'" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").write_text('#!/bin/sh\nprintf "%s," "$@"\n')
    (binaries / "python").chmod(0o755)
    monkeypatch.setattr(setup, "_VENV", binaries.parent)
    monkeypatch.setattr(setup, "_PYTHON", binaries / "python")

    setup.make_command()
    said = subprocess.run([binaries / "jobyard", "a b", "*"], capture_output=True, text=True, check=True).stdout

    assert said == "-I,-m,jobyard,a b,*,"


@pytest.mark.parametrize("name", [*PINNED, BENCH, HEIC])
def test_every_requirement_is_pinned_with_hashes_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    requirements = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line and not line.startswith("#")]

    assert requirements
    assert [line for line in requirements if not re.match(r"[\w.\[\],-]+==\S+ .*--hash=sha256:", line)] == []


@pytest.mark.parametrize(("smaller", "larger"), [PINNED[:2], PINNED[1:]])
def test_the_larger_sets_hold_the_smaller_ones_versions(smaller: str, larger: str) -> None:
    assert versions(smaller) - versions(larger) == set()


def test_what_the_benchmark_adds_has_the_versions_of_the_other_sets() -> None:
    others, added = versions(PINNED[-1]), versions(BENCH)
    known = {each.partition("==")[0] for each in others}

    assert any(each.startswith("pyvips==") for each in added)
    assert {each for each in added if each.partition("==")[0] in known} - others == set()


def test_heic_is_read_with_the_versions_that_are_tested() -> None:
    assert versions(HEIC) - versions(PINNED[-1]) == set()


def versions(name: str) -> set[str]:
    return set(re.findall(r"^[\w.\[\],-]+==\S+", (ROOT / name).read_text(), re.MULTILINE))
