"""Where webhooks may go, judged without the network."""

from ipaddress import ip_address

import pytest

from shared.settings import Settings
from shared.webhook_urls import WebhookUrlNotAllowed, is_public, require_webhook_url

NOTHING_SET = Settings.model_validate({})
NAT64 = ("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "64:ff9b::c0a8:101", "64:ff9b::6440:1")
SIX_TO_FOUR = ("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::1", "2002:808:808::1")
PUBLIC = ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::5efe:8.8.8.8")
NOT_PUBLIC = (
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8",
    "198.18.0.1", "192.0.2.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1", "::",
    "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", *NAT64, *SIX_TO_FOUR,
    "64:ff9b:1::1", "2001:0:808:808::f5ff:fffe", "2606:4700::5efe:10.0.0.1", "fe80::1", "fd00::1", "fec0::1", "ff02::1",
    "2001:db8::1", "100::1", "fd00:ec2::254", "::ffff:0:7f00:1", "fe80::1%1", "2606:4700::1111%1",
)  # fmt: skip
REFUSED = (
    "", "example.com", "http://example.com/", "ftp://example.com/", "https://", "https:///path", "https://u@example.com/",
    "https://u:p@example.com/", "https://@example.com/", "https://example.com/#part", "https://example.com/#",
    "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:7f00:1]/", "https://169.254.169.254/latest/meta-data",
    "https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://0177.0.0.1/", "https://127.0.0.1./",
    "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[bad/", "https://example.com:99999/",
    "https://example.com:22/", "https://example.com:25/", "https://example.com:0/", "https://exa mple.com/",
    "https://example.com\\@127.0.0.1/", "https://example.com/\n", "https://éxample.com/", "https://exam%70le.com/",
    "https://example..com/", "https://-example.com/", "https://example.com/" + "x" * 2048,
    "https://" + "a" * 64 + ".com/", "https://[v1.abc]/", "https://[example.com]/", "https://[2606:4700::1111%1]/",
    "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:a9fe:a9fe::1]/", "https://\uff45xample.com/", "https://example.com:+443/",
)  # fmt: skip
TAKEN = (
    "https://example.com", "https://EXAMPLE.com/hooks?key=1", "https://example.com.:8443/", "https://8.8.8.8/",
    "https://[2606:4700::1111]:443/", "https://xn--xample-9ua.com/", "https://my_host.example/", "HTTPS://example.com/",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_anything_else_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_may_not_be_told_is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlNotAllowed) as raised:
        require_webhook_url(url, NOTHING_SET, pointer="/url")
    assert (raised.value.code, raised.value.status, raised.value.pointer) == ("webhook_url_not_allowed", 422, "/url")


@pytest.mark.parametrize("url", TAKEN)
def test_a_url_of_the_internet_is_taken(url: str) -> None:
    require_webhook_url(url, NOTHING_SET)


def test_allowed_networks_open_their_own_addresses_and_no_others() -> None:
    settings = Settings.model_validate({"webhook_allowed_networks": "127.0.0.0/8, ::1/128"})
    for url in ("http://127.0.0.1:9/", "https://127.0.0.1:22/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
                "http://localhost:8000/"):  # fmt: skip
        require_webhook_url(url, settings)
    for url in ("http://10.0.0.1/", "http://8.8.8.8/", "http://user@127.0.0.1/", "https://169.254.169.254/",
                "http://127.0.0.1:0/", "http://localhost:0/"):  # fmt: skip
        with pytest.raises(WebhookUrlNotAllowed):
            require_webhook_url(url, settings)


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="networks such as"):
        Settings.model_validate({"webhook_allowed_networks": "127.0.0.1/8"})
