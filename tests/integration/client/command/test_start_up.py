"""What a command does not import: most of its time is its start."""

import json
import subprocess
import sys

from tests.integration.client.command.conftest import Shell

_PROGRAM = """
import json, sys
from jobyard.command import main
main()
print(json.dumps(list(sys.modules)))
"""


def test_a_command_in_a_pipe_imports_neither_what_a_terminal_needs_nor_other_commands(nobody: Shell) -> None:
    command = [sys.executable, "-c", _PROGRAM, "jobs", "show", "x"]
    told = subprocess.run(command, cwd=nobody.directory, env=nobody.environment, check=True, capture_output=True)
    found = set(json.loads(told.stdout))
    assert "jobyard.command.jobs" in found
    assert not found & {"rich.console", "rich.text", "rich.live", "jobyard.command.webhooks", "jobyard.command.mail"}
