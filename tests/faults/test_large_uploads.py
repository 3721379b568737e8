"""Five gigabytes through a web process of a few megabytes."""

from collections.abc import Iterator

import pytest

from shared.settings import Settings
from tests.api_server import running_server
from tests.conftest import Owner
from tests.integration.files.bodies import FORM, form, part

MEBIBYTE = 1024 * 1024
BLOCK = b"0123456789abcde\n" * 4096


@pytest.mark.long
@pytest.mark.parametrize("as_form", [False, True])
def test_memory_stays_flat_at_five_gigabytes(settings: Settings, owner: Owner, *, as_form: bool) -> None:
    opening, closing = form(part("file", b"|", "a.txt")).split(b"|") if as_form else (b"", b"")
    blocks = 5 * 1024 * MEBIBYTE // len(BLOCK)

    def body(count_of_blocks: int) -> Iterator[bytes]:
        yield opening
        yield from (BLOCK for _ in range(count_of_blocks))
        yield closing

    with running_server(settings, cap=blocks * len(BLOCK)) as server, server.client() as client:
        headers = owner.headers | (FORM if as_form else {})
        assert client.post("/v1/files", content=body(32), headers=headers).status_code == 201
        before = server.memory.memory_info().rss
        answer = client.post("/v1/files", content=body(blocks), headers=headers)
        grown = server.memory.memory_info().rss - before
        assert client.delete(answer.json()["links"]["self"], headers=owner.headers).status_code == 204
    print(f"\n5 GiB {'as a form' if as_form else 'raw'}: {grown / MEBIBYTE:.1f} MiB more than before")
    assert answer.json()["size"] == blocks * len(BLOCK)
    assert grown < 10 * MEBIBYTE
