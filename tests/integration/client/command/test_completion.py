"""Completion of the command's words, as shells ask for it and as a person meets it in bash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.client.command.conftest import Shell
from tests.integration.client.command.terminal import program_at_terminal

BASH = "/bin/bash"
PROMPT = "your turn> "


@pytest.fixture
def at_home(nobody: Shell) -> Shell:
    """Give a shell whose person has a bash that is set up, and the command on the PATH."""
    (nobody.directory.parent / ".bashrc").write_text(f"PS1='{PROMPT}'\n")
    nobody.environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), nobody.environment["PATH"]])
    return nobody


@pytest.mark.parametrize(
    "installing",
    [
        # The second command keeps bash from becoming the first.
        "jobyard --install-completion; true",
        "jobyard completion bash > ~/jobyard.bash && echo 'source ~/jobyard.bash' >> ~/.bashrc",
    ],
    ids=["by itself", "by hand"],
)
def test_bash_completes_once_it_is_installed(at_home: Shell, installing: str) -> None:
    environment = at_home.environment
    subprocess.run([BASH, "-c", installing], cwd=at_home.directory, env=environment, check=True, capture_output=True)
    (at_home.directory / "photograph.jpg").touch()
    with program_at_terminal(at_home, BASH) as at:
        at.read_until(PROMPT)
        for typed, completed in (
            ("jobyard jo", "jobyard jobs "),
            ("w", "jobyard jobs watch "),
            ("--quie", "jobyard jobs watch --quiet "),
            ("phot", "jobyard jobs watch --quiet photograph.jpg "),
        ):
            at.type(f"{typed}\t")
            at.read_until(completed)


def test_where_completion_cannot_be_installed_it_is_one_line(at_home: Shell) -> None:
    (at_home.directory.parent / ".bash_completions").write_text("in the way")
    command = [BASH, "-c", "jobyard --install-completion; exit $?"]
    refused = subprocess.run(command, env=at_home.environment, check=False, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("jobyard: Local file: ")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(nobody: Shell, shell_name: str) -> None:
    assert "_JOBYARD_COMPLETE" in nobody.ok("completion", shell_name).text


def test_zsh_is_answered_by_the_script_that_its_first_question_loads(nobody: Shell) -> None:
    assert '== loadautofunc ]]; then\n  _jobyard_completion "$@"\nelse\n' in nobody.ok("completion", "zsh").text


def test_options_that_end_the_command_do_nothing_while_a_word_behind_them_is_completed(nobody: Shell) -> None:
    words = "jobyard\n--version\n--install-completion\nlogi"
    nobody.environment.update(_JOBYARD_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="3")
    assert nobody.ok().lines == ["login"]
    assert [each.name for each in nobody.directory.parent.iterdir()] == ["work"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"_JOBYARD_COMPLETE": "complete_bash", "COMP_WORDS": "jobyard\njobs\nw", "COMP_CWORD": "2"}, "watch"),
        (
            {"_JOBYARD_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "jobyard jobs w"},
            '_arguments \'*: :(("watch":"Follow a job until it ends; with --json..."))\'',
        ),
        (
            {
                "_JOBYARD_COMPLETE": "complete_fish",
                "_TYPER_COMPLETE_ARGS": "jobyard jobs w",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
            "watch\tFollow a job until it ends; with --json...",
        ),
    ],
    ids=["bash", "zsh", "fish"],
)
def test_words_are_completed_as_a_shell_asks_for_it(nobody: Shell, asked: dict[str, str], told: str) -> None:
    nobody.environment.update(asked)
    finished = nobody.ok()
    assert (finished.lines, finished.errors) == ([told], "")
