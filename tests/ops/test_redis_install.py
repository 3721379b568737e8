import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.local_service import ServiceFailed
from ops.paths import ROOT
from ops.redis_install import find_server

FIND_WITHOUT_WHEELS = "from ops.redis_install import find_server; find_server('')"


def make_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_server_on_the_path_comes_first(tmp_path: Path) -> None:
    make_program(tmp_path / "valkey-server", "echo 'Valkey server v=8.1.0 sha=0'")

    assert find_server(str(tmp_path)) == (tmp_path / "valkey-server", (8, 1))


@pytest.mark.parametrize("script", ["exit 127", "echo 'Redis server v=5.0.7 sha=0'", "echo nonsense"])
def test_a_program_that_fails_or_is_too_old_is_passed_over_for_the_wheel(tmp_path: Path, script: str) -> None:
    make_program(tmp_path / "redis-server", script)

    server = find_server(str(tmp_path))

    assert server.path.parent != tmp_path
    assert server.version >= (6, 2)


def test_without_any_server_one_line_says_what_to_install() -> None:
    # -S keeps site-packages, and so the wheels, off the path.
    command = [sys.executable, "-S", "-c", FIND_WITHOUT_WHEELS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    last = answer.stderr.splitlines()[-1]
    assert last.startswith(f"{ServiceFailed.__module__}.{ServiceFailed.__name__}: redis: no server of 6.2")
    assert "install redis-server or valkey-server, or set REDIS_URL" in last
