"""Two Jobyards for all tests of this package: one with services of its own, one that reaches them through proxies."""

from collections.abc import Iterator

import pytest

from tests.faults.services.yards import ProxiedYard, ServedYard, open_proxied_yard, open_served_yard


@pytest.fixture(scope="package")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedYard]:
    """Run a Jobyard whose services can be killed, frozen and wiped."""
    with open_served_yard(tmp_path_factory.mktemp("yard")) as yard:
        yield yard


@pytest.fixture(scope="package")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedYard]:
    """Run a Jobyard whose lines to its services can be cut and silenced."""
    with open_proxied_yard(tmp_path_factory.mktemp("proxied")) as yard:
        yield yard
