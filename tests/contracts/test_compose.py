"""docker-compose.yml against what it deploys: the Procfile, the settings, the Dockerfile."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from shared.settings import environment_names

ROOT = Path(__file__).resolve().parents[2]
APP = ("web", "dispatcher", "worker", "beat", "flower", "migrate")
REQUIRED = {
    "JOBYARD_SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "JOBYARD_POSTGRES_PASSWORD": "correct-horse",
    "JOBYARD_FLOWER_PASSWORD": "battery-staple",
    "JOBYARD_PUBLIC_URL": "https://jobs.example.org",
    "JOBYARD_TLS_DIR": "/srv/tls",
}
SECRET_NAME = re.compile(r"SECRET|PASSWORD|PRIVATE|CREDENTIAL|KEYS")
REQUIRED_VALUE = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
URL_PASSWORD = re.compile(r"://[^/@\s]*:((?:\$\{[^}]*\}|[^/@\s])+)@")


class Build(BaseModel):
    model_config = ConfigDict(extra="forbid")
    context: str
    dockerfile: str


class Service(BaseModel):
    image: str
    user: str
    build: Build | None = None
    command: str | list[str] = ""
    environment: dict[str, str | None] = Field(default_factory=dict)
    volumes: list[str] = Field(default_factory=list)
    ports: list[str] = Field(default_factory=list)
    networks: list[str]
    depends_on: dict[str, dict[str, str]] = Field(default_factory=dict)
    healthcheck: dict[str, object] | None = None
    read_only: bool = False
    cap_drop: list[str] = Field(default_factory=list)
    security_opt: list[str] = Field(default_factory=list)
    stop_grace_period: str = ""


class Composition(BaseModel):
    services: dict[str, Service]
    networks: dict[str, dict[str, bool] | None]
    volumes: dict[str, None]


@pytest.fixture(scope="module")
def document() -> object:
    return cast("object", yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def composition(document: object) -> Composition:
    return Composition.model_validate(document)


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    entries = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): command.strip().removeprefix("exec ") for name, _, command in entries}


def strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in cast("dict[str, object]", node).items():
            yield from strings(key)
            yield from strings(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from strings(value)


def configure(environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    assert program is not None, "docker-compose (apt) is not installed"
    nothing = folder / "empty.env"  # in place of the .env beside the file
    nothing.touch()
    return subprocess.run(
        [program, "--env-file", str(nothing), "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.root_linux
def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    result = configure(REQUIRED, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.root_linux
@pytest.mark.parametrize("name", REQUIRED)
def test_docker_compose_refuses_to_start_without(name: str, tmp_path: Path) -> None:
    result = configure({key: value for key, value in REQUIRED.items() if key != name}, tmp_path)
    assert result.returncode != 0
    assert "Missing mandatory value" in result.stderr


def test_the_services_run_what_the_procfile_runs(composition: Composition) -> None:
    expected = procfile()
    del expected["mailbox"]  # the one difference: mailpit catches the mail here
    assert {name: composition.services[name].command for name in expected} == expected
    services_of_our_own = {name for name, service in composition.services.items() if service.build is not None}
    assert services_of_our_own == set(expected) | {"migrate"} == set(APP)
    assert composition.services["migrate"].command == "python -m shared.migrations"
    assert composition.services["web"].environment["SMTP_URL"] == "${SMTP_URL:-smtp://mailpit:1025}"


def test_the_variables_are_those_of_the_settings(composition: Composition) -> None:
    given = {name for service in APP for name in composition.services[service].environment}
    assert given - environment_names() == set(), "no setting reads these"
    assert environment_names() - given == set(), "these settings cannot be set through docker-compose.yml"


def test_every_process_gets_the_same_settings(composition: Composition) -> None:
    shared_names = set(composition.services["migrate"].environment)
    for name in APP:
        environment = composition.services[name].environment
        assert {key: environment[key] for key in shared_names} == composition.services["migrate"].environment


def test_no_secret_is_written_down(document: object, composition: Composition) -> None:
    secrets = [
        (name, key, value)
        for name, service in composition.services.items()
        for key, value in service.environment.items()
        if SECRET_NAME.search(key)
    ]
    passed_on = {"AWS_SECRET_ACCESS_KEY", "JOBYARD_LINK_KEYS", "JOBYARD_DKIM_KEYS"}
    required = {"JOBYARD_SECRET_KEY", "JOBYARD_FLOWER_PASSWORD", "POSTGRES_PASSWORD"}
    assert {key for _, key, _ in secrets} == required | passed_on
    for name, key, value in secrets:
        assert value is None if key in passed_on else REQUIRED_VALUE.fullmatch(value or ""), f"{name}: {key}"
    passwords = [match[1] for text in strings(document) for match in URL_PASSWORD.finditer(text)]
    assert passwords, "DATABASE_URL has a password"
    for password in passwords:
        assert REQUIRED_VALUE.fullmatch(password)


def test_every_service_is_confined(composition: Composition) -> None:
    for name, service in composition.services.items():
        assert service.read_only, name
        assert service.cap_drop == ["ALL"], name
        assert service.security_opt == ["no-new-privileges:true"], name
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service.user), name
        assert ":" in service.image, name
        assert not service.image.endswith(":latest"), name
        assert service.stop_grace_period, name
        assert (service.healthcheck is None) == (name == "migrate"), name


def test_only_nginx_is_reached_from_outside(composition: Composition) -> None:
    for name, service in composition.services.items():
        for port in service.ports:
            assert name == "nginx" or port.startswith("127.0.0.1:"), name
    internal = {name for name, options in composition.networks.items() if options == {"internal": True}}
    for name in ("postgres", "redis"):
        assert set(composition.services[name].networks) <= internal
        assert composition.services[name].ports == []
    assert [name for name, service in composition.services.items() if "edge" in service.networks] == ["web", "nginx"]


def test_processes_start_after_the_migration(composition: Composition) -> None:
    for name in set(APP) - {"migrate"}:
        assert composition.services[name].depends_on["migrate"] == {"condition": "service_completed_successfully"}
    # Jobs are accepted, read and cancelled without Redis.
    assert "redis" not in composition.services["web"].depends_on


def test_named_volumes_hold_what_must_last(composition: Composition) -> None:
    services = composition.services
    storage = f"storage:{services['web'].environment['JOBYARD_STORAGE_DIR']}"
    assert services["web"].volumes == services["worker"].volumes == [storage]
    assert services["postgres"].volumes == ["postgres:/var/lib/postgresql"]
    assert services["redis"].volumes == ["redis:/data"]
    assert set(composition.volumes) == {"storage", "postgres", "redis"}
    assert "--appendonly yes" in services["redis"].command
    assert "--maxmemory-policy noeviction" in services["redis"].command


def test_the_image_holds_the_service_and_nothing_else(composition: Composition) -> None:
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    copied = set(re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE))
    assert copied == {"requirements.txt", "api", "worker", "shared", "jobyard", "deploy/health.py"}
    assert all((ROOT / name).exists() for name in copied)
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines.index("*") < min(lines.index(line) for line in lines if line.startswith("!"))
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    assert "--require-hashes" in text
    (user,) = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert {composition.services[name].user for name in APP} == {user}
