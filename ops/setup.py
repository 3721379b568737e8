"""Makes `.venv` from the pinned, hashed requirements; run by `ops/setup.sh` with nothing but the standard library.

A stamp inside `.venv` remembers what has been installed: while it fits, nothing is run and no network is used.
"""

import argparse
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_VENV = _ROOT / ".venv"
_PYTHON = _VENV / "bin" / "python"
_PLACE_FILE = _VENV / "jobyard-place"
_SETS = {"local": "requirements-local.txt", "dev": "requirements-dev.txt", "bench": "requirements-bench.txt"}
# What is installed to check and test includes what is needed to run; what the benchmark adds stands for itself.
_COVERED_BY = {"local": ("local", "dev"), "dev": ("dev",), "bench": ("bench",)}
_MADE_FROM = {"local": ("local",), "dev": ("local", "dev"), "bench": ("bench",)}
# Users' settings that would lead pip away from `.venv`.
_MISLEADING = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_USER")
_TAIL_LINES = 12


class SetupFailed(RuntimeError):
    """The environment cannot be made; the message says what to do."""


def main() -> int:
    """Bring `.venv` up to date and return the exit status."""
    parser = argparse.ArgumentParser(description="Make .venv.")
    kinds = "local: to run; dev: to check and test as well; bench: what the benchmark adds to dev"
    parser.add_argument("requirements", choices=_SETS, help=kinds)
    name: str = parser.parse_args().requirements
    # A lock on the directory itself needs no file; the kernel ends it with this process.
    directory = os.open(_ROOT, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        if not _is_current(name):
            _set_up(name)
    except SetupFailed as failure:
        print(f"jobyard: {failure}", file=sys.stderr)
        return 1
    finally:
        os.close(directory)
    return 0


def _set_up(name: str) -> None:
    requirements = _ROOT / _SETS[name]
    print(f"installing {requirements.name} into .venv", flush=True)
    if not _is_usable():
        _make_venv()
        _PLACE_FILE.write_bytes(_place())
    _install(requirements)
    _put_checkout_on_path()
    make_command()
    _stamp(name).write_text(_fingerprint(name))


def _is_current(name: str) -> bool:
    return _PYTHON.exists() and any(_stamp_fits(covering) for covering in _COVERED_BY[name])


def _stamp_fits(name: str) -> bool:
    stamp = _stamp(name)
    return stamp.exists() and stamp.read_text() == _fingerprint(name)


def _stamp(name: str) -> Path:
    return _VENV / f"jobyard-{name}.stamp"


def _fingerprint(name: str) -> str:
    parts = [_place(), Path(__file__).read_bytes(), (_VENV / "pyvenv.cfg").read_bytes()]
    parts += [(_ROOT / _SETS[each]).read_bytes() for each in _MADE_FROM[name]]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _place() -> bytes:
    return os.fsencode(_ROOT)


def _is_usable() -> bool:
    # The programs in .venv/bin name their Python by its full path: a moved or copied .venv has to be made anew.
    if not _PYTHON.exists() or (_PLACE_FILE.exists() and _PLACE_FILE.read_bytes() != _place()):
        return False
    question = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    return _run([str(_PYTHON), "-I", "-c", question]).returncode == 0


def _make_venv() -> None:
    shutil.rmtree(_VENV, ignore_errors=True)
    # Debian keeps ensurepip in a package of its own; `venv` without it fails halfway.
    pip_comes_along = find_spec("ensurepip") is not None
    command = [sys.executable, "-I", "-m", "venv", str(_VENV)]
    if pip_comes_along and _run(command).returncode == 0:
        return
    shutil.rmtree(_VENV, ignore_errors=True)
    answer = _run([*command, "--without-pip"])
    if answer.returncode != 0:
        raise SetupFailed(f"{sys.executable} -m venv fails: {_tail(answer)}")


def _install(requirements: Path) -> None:
    arguments = ["--quiet", "--require-hashes", "-r", str(requirements)]
    for installer in _installers():
        answer = _run([*installer, *arguments])
        if answer.returncode != 0:
            raise SetupFailed(f"installing {requirements.name} failed:\n{_tail(answer)}")
        return
    raise SetupFailed(
        "this Python has neither ensurepip nor pip 22.3 or later, and there is no uv; "
        "install one of them (Debian: apt-get install python3-venv) and try again"
    )


def _installers() -> Iterator[list[str]]:
    """Yield the commands that can install into `.venv`, best first."""
    pip = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
    if _run([str(_PYTHON), "-I", "-m", "pip", "--version"]).returncode == 0:
        yield [str(_PYTHON), "-I", *pip, "install"]
    outside = [sys.executable, "-I", *pip, "--python", str(_PYTHON)]
    if _run([*outside, "--version"]).returncode == 0:
        yield [*outside, "install"]
    uv = shutil.which("uv")
    if uv is not None and _run([uv, "--version"]).returncode == 0:
        yield [uv, "pip", "install", "--python", str(_PYTHON)]


def _put_checkout_on_path() -> None:
    answer = _run([str(_PYTHON), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    packages = Path(answer.stdout.strip())
    # Relative, so that it is plain ASCII wherever the checkout is: this file is read in the locale's encoding.
    (packages / "jobyard-checkout.pth").write_text(os.path.relpath(_ROOT, packages.resolve()) + "\n")


def make_command() -> None:
    """Write `.venv/bin/jobyard`, as pip would if the project were installed."""
    launcher = _VENV / "bin" / "jobyard"
    # Not `#!.venv/bin/python`: a shebang takes no blank. -I keeps modules of the working directory out.
    launcher.write_bytes(b"#!/bin/sh\nexec " + os.fsencode(shlex.quote(str(_PYTHON))) + b' -I -m jobyard "$@"\n')
    launcher.chmod(0o755)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    environment["PIP_USER"] = "0"
    return subprocess.run(
        command,
        env=environment,
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _tail(answer: subprocess.CompletedProcess[str]) -> str:
    lines = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
    return "\n".join(lines[-_TAIL_LINES:])


if __name__ == "__main__":
    sys.exit(main())
