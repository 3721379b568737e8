import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import DEVELOPMENT_SECRET, Settings, environment_name, environment_names, get_settings

ROOT = Path(__file__).resolve().parents[2]


def start(module: str, **environment: str) -> subprocess.CompletedProcess[str]:
    keep = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", module], env=keep | environment, cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip


WRONG = [
    ("DATABASE_URL", "mysql://host/db"),
    ("REDIS_URL", "localhost:6379"),
    ("SMTP_URL", "localhost"),
    ("STORAGE_URL", "gs://bucket"),
    ("AWS_ENDPOINT_URL", "localhost:9000"),
    ("JOBYARD_PORT", "eighty"),
    ("JOBYARD_PORT", "70000"),
    ("JOBYARD_ENVIRONMENT", "staging"),
    ("JOBYARD_TIME_ZONE", "Mars/Olympus"),
    ("JOBYARD_CLEAN_FILES_CRONTAB", "hourly"),
    ("JOBYARD_CLEAN_FILES_CRONTAB", "99 * * * *"),
    ("JOBYARD_PURGE_JOBS_CRONTAB", "* * * * mittwochs"),
    ("JOBYARD_PURGE_RECORDS_CRONTAB", "* * *"),
    ("JOBYARD_MAX_UPLOAD_BYTES", "0"),
    ("JOBYARD_UPLOAD_RETENTION_DAYS", "366"),
    ("JOBYARD_LEASE_SECONDS", "-1"),
    ("JOBYARD_MAIL_FROM", "nobody"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        get_settings.__wrapped__()
    assert isinstance(ended.value.code, str)
    assert ended.value.code.startswith(f"{name}: ")
    assert "\n" not in ended.value.code


@pytest.mark.parametrize("module", ["api", "worker.dispatcher"])
def test_wrong_values_stop_the_start_with_a_line_for_each_variable(module: str) -> None:
    # Held against another setting, and only once each is sound by itself.
    alone = {name: value for name, value in WRONG if name != "JOBYARD_UPLOAD_RETENTION_DAYS"}
    ended = start(module, **alone)
    assert ended.returncode == 1
    assert sorted(line.partition(":")[0] for line in ended.stderr.splitlines()) == sorted(alone)


@pytest.mark.parametrize("module", ["api", "worker.dispatcher"])
@pytest.mark.parametrize("secret", ["", "short", DEVELOPMENT_SECRET])
def test_production_refuses_a_weak_secret(module: str, secret: str) -> None:
    ended = start(module, JOBYARD_ENVIRONMENT="production", JOBYARD_SECRET_KEY=secret)
    assert ended.returncode == 1
    assert ended.stderr.startswith("JOBYARD_SECRET_KEY: ")
    assert "Traceback" not in ended.stderr
    if len(secret) > len("short"):
        assert secret not in ended.stderr


def test_flower_does_not_start_without_a_password() -> None:
    ended = start("worker.flower", JOBYARD_FLOWER_PASSWORD="short")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("JOBYARD_FLOWER_PASSWORD: ")


def test_a_module_of_kinds_that_is_not_there_is_named() -> None:
    ended = start("api", JOBYARD_JOB_MODULES="worker.jobs,no.such.module")
    assert ended.returncode == 1
    assert ended.stderr.startswith("JOBYARD_JOB_MODULES: ")


def test_secrets_are_not_in_the_settings_representation() -> None:
    settings = Settings.model_validate({"secret_key": "x" * 40, "flower_password": "y" * 40})
    assert "x" * 40 not in repr(settings)
    assert "y" * 40 not in repr(settings)


def test_the_example_names_every_variable_and_no_other() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {line.lstrip("# ").partition("=")[0] for line in lines if "=" in line and not line.startswith("## ")}
    compose_only = {line.partition("=")[0] for line in _compose_section(lines)}
    assert named - compose_only == environment_names()


def _compose_section(lines: list[str]) -> list[str]:
    start = lines.index("## Only for docker compose")
    return [line.lstrip("# ") for line in lines[start + 1 :] if "=" in line]


def test_every_field_has_an_environment_variable() -> None:
    assert environment_name("database_url") == "DATABASE_URL"
    assert environment_name("max_upload_bytes") == "JOBYARD_MAX_UPLOAD_BYTES"
