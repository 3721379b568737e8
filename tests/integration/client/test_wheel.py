"""The wheel of the client, alone in an environment that holds what it declares to need and nothing else; no network."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jobyard import __version__
from ops.paths import ROOT
from tests.integration.client.conftest import Login

PROGRAM = """
import importlib.util, json, sys
from jobyard import Jobyard

with Jobyard(sys.argv[1], email=sys.argv[2], password=sys.argv[3]) as client:
    job = client.jobs.wait(client.jobs.create("test.echo", {"text": "from a wheel"}), 30, check=True)
ours = ["api", "worker", "shared", "ops", "tests", "fastapi", "sqlalchemy", "celery", "jobyard.samples"]
found = [name for name in ours if importlib.util.find_spec(name)]
print(json.dumps({"text": job.result["text"], "found": found, "asyncio": "asyncio" in sys.modules}))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT / "jobyard", check=True, capture_output=True)
    (built,) = target.iterdir()
    return built


def closure(names: set[str]) -> Iterator[Distribution]:
    """Give the distributions of these names and all that they require, as they are installed here."""
    seen: set[str] = set()
    while names - seen:
        name = min(names - seen)
        seen.add(name)
        found = distribution(name)
        yield found
        for text in found.requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names = names | {requirement.name.lower()}


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment of copies of what the wheel declares, and install the wheel there."""
    home = tmp_path_factory.mktemp("wheel") / "env"
    venv.create(home, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"jobyard-{__version__}.dist-info/METADATA").decode()
    needs = {Requirement(line.partition(": ")[2]) for line in metadata.splitlines() if line.startswith("Requires-Dist")}
    for need in needs:
        assert need.specifier.contains(distribution(need.name).version)
    for found in closure({need.name for need in needs}):
        for file in found.files or []:
            if ".." not in file.parts:
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), packages / file)
    install = [sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-index", "--no-deps", "--quiet"]
    subprocess.run([*install, "--python", str(home / "bin" / "python"), str(wheel)], check=True)
    return home


def run(home: Path, *command: str) -> str:
    """Run a program of the environment, away from the checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "JOBYARD", "VIRTUAL"))}
    done = subprocess.run(
        [str(home / "bin" / command[0]), *command[1:]], cwd=home, env=clean, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_client_and_its_command_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"jobyard/__init__.py", "jobyard/py.typed", "jobyard/command/__init__.py"} <= set(names)
    assert {name.partition("/")[0] for name in names} == {"jobyard", f"jobyard-{__version__}.dist-info"}
    assert all(Path(name).suffix == ".py" for name in names if name.startswith("jobyard/") and "py.typed" not in name)


def test_the_wheel_runs_a_job_where_nothing_else_of_jobyard_is(environment: Path, url: str, login: Login) -> None:
    said = json.loads(run(environment, "python", "-c", PROGRAM, url, login["email"], login["password"]))
    assert said == {"text": "from a wheel", "found": [], "asyncio": False}


def test_the_wheel_brings_the_command(environment: Path) -> None:
    assert __version__ in run(environment, "jobyard", "--version")


def test_who_uses_the_client_is_helped_by_a_strict_type_checker(environment: Path, tmp_path: Path) -> None:
    right = tmp_path / "right.py"
    right.write_text(
        "from jobyard import AsyncJobyard, Job, Jobyard\n\n"
        "def run(client: Jobyard) -> list[Job]:\n"
        '    job: Job = client.jobs.create("a.b", {"c": 1}, tags=["d"])\n'
        '    return [client.jobs.wait(job, 3.0), *client.jobs.list(state="failed")]\n\n'
        "async def run_async(client: AsyncJobyard) -> list[Job]:\n"
        '    job: Job = await client.jobs.create("a.b", {"c": 1}, tags=["d"])\n'
        "    return [await client.jobs.wait(job, 3.0)] + [each async for each in client.jobs.events(job)]\n"
    )
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from jobyard import AsyncJobyard, Jobyard\n\n"
        "def run(client: Jobyard, other: AsyncJobyard) -> None:\n"
        "    client.jobs.create(3)\n"
        "    client.jobs.wait(1.5)\n"
        "    print(other.jobs.create('a.b').state)\n"
        "    print(client.jobs.create('a.b').colour)\n"
        "from jobyard import NoSuchName\n"
    )
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [str(Path(sys.executable).with_name("basedpyright")), "--pythonpath", str(environment / "bin" / "python")]
    checked = subprocess.run([*command, "--outputjson"], cwd=tmp_path, check=False, capture_output=True, text=True)
    found = [
        (Path(each["file"]).name, each["range"]["start"]["line"])
        for each in json.loads(checked.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    ]
    assert sorted(set(found)) == [("wrong.py", line) for line in (3, 4, 5, 6, 7)]
