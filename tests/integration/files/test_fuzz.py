"""Whatever bytes a client sends, no answer is a 500 and nothing is left of what was refused."""

from string import printable

import psycopg
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import BOUNDARY, FORM, PNG, blobs, count, form, part

_MARK = b"--" + BOUNDARY.encode()
_PIECES = st.sampled_from(
    [
        _MARK, _MARK + b"\r\n", _MARK + b"--\r\n", b"\r\n", b"\r", b"\n", b"--", b": ", b'"', b"\\", b";", b"\x00", PNG,
        b'Content-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n',
        b'Content-Disposition: form-data; name="description"\r\n\r\n',
        b"Content-Disposition: form-data; name=renditions; filename*=utf-8''%ff%\r\n\r\n",
        b"Content-Disposition:\r\n", b"Content-Transfer-Encoding: 8bit\r\n", b'[{"width": 1}]',
    ]
)  # fmt: skip
_BODIES = st.one_of(
    st.binary(max_size=300),
    st.lists(_PIECES | st.binary(max_size=20), max_size=15).map(b"".join),
    st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)).map(lambda hole: _damage(*hole)),
)
_EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def _damage(place: int, noise: bytes) -> bytes:
    whole = form(part("file", PNG, "a.png"), part("description", b"words"))
    return whole[:place] + noise + whole[place + len(noise) :]


@_EXAMPLES
@given(body=_BODIES, path=st.sampled_from(["/v1/files", "/v1/files/batch", "/v1/images"]))
def test_any_bytes(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, body: bytes, path: str
) -> None:
    answer = client.post(path, content=body, headers=owner.headers | FORM)

    assert answer.status_code in {201, 202, 400, 415, 422}
    assert len(blobs(settings.storage_dir)) == count(database, "files")


@_EXAMPLES
@given(
    content_type=st.text(printable.strip(), max_size=60) | st.just("multipart/form-data; boundary=--"),
    disposition=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=80),
)
def test_any_headers(client: TestClient, owner: Owner, content_type: str, disposition: str) -> None:
    headers = owner.headers | {"Content-Type": content_type, "Content-Disposition": disposition.strip()}
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}

    answer = client.post("/v1/files", content=PNG, headers=encoded)

    assert answer.status_code in {201, 400, 415}


@_EXAMPLES
@given(name=st.text(max_size=300))
def test_any_name_is_stored_and_comes_back(client: TestClient, owner: Owner, name: str) -> None:
    quoted = name.encode("utf-8", "replace").replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    quoted = quoted.replace(b"\r", b"").replace(b"\n", b"")
    opening = _MARK + b'\r\nContent-Disposition: form-data; name="file"; filename="' + quoted + b'"\r\n\r\n'

    answer = client.post("/v1/files", content=form(opening + PNG + b"\r\n"), headers=owner.headers | FORM)

    assert answer.status_code == 201
    stored = answer.json()["name"]
    assert 0 < len(stored.encode()) <= 255
    assert not set(stored) & set("/\\\x00\x1b\u202e\u2066")
    content = client.get(answer.json()["links"]["content"], headers=owner.headers)
    assert (content.status_code, content.content) == (200, PNG)
