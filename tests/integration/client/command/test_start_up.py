"""What a command does not import: most of its time is its start."""

from tests.integration.client.command.conftest import Shell


def imported(shell: Shell, *words: str) -> set[str]:
    """Give the modules that a whole run of a command imports."""
    shell.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    with shell.start(*words) as process:
        _, errors = process.communicate()
    return {line.rpartition(b"|")[2].strip().decode() for line in errors.splitlines() if b"|" in line}


def test_a_command_in_a_pipe_imports_neither_what_a_terminal_needs_nor_other_commands(nobody: Shell) -> None:
    found = imported(nobody, "jobs", "show", "x")
    assert "jobyard.command.jobs" in found
    assert not found & {"rich.console", "rich.text", "rich.live", "jobyard.command.webhooks", "jobyard.command.mail"}
