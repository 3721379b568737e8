"""What the client tells its HTTP library."""

import ssl

import pytest

from jobyard.transport import Settings, client_options


@pytest.mark.parametrize("url", ["https://example.com", "https://localhost", "http://example.com"])
def test_wherever_tls_may_be_spoken_the_authorities_are_those_of_the_library(url: str) -> None:
    assert client_options(Settings(url, 1))["verify"] is True


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:1"])
def test_a_server_on_this_machine_without_tls_needs_no_authority_and_nobody_is_trusted(url: str) -> None:
    verify = client_options(Settings(url, 1))["verify"]
    assert (verify.verify_mode, verify.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert verify.cert_store_stats()["x509"] == 0
