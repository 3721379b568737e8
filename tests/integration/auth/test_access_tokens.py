import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwt
from pydantic import SecretStr

from api.tokens import LONGEST_TOKEN, TokenNotValid, TokenReader, issue_access_token
from shared.ids import new_id
from shared.settings import Settings

Claims = dict[str, Any]


@pytest.fixture
def settings() -> Settings:
    """Shadow the settings of a test's own services: verifying a token asks none."""
    return Settings.model_validate(
        {
            "environment": "test",
            "secret_key": "a-secret-of-the-tests-that-is-long-enough",
            "token_issuer": "jobyard",
            "token_audience": "jobyard-api",
        }
    )


def secret(settings: Settings) -> str:
    return settings.secret_key.get_secret_value()


def good_claims(settings: Settings) -> Claims:
    now = int(time.time())
    return {
        "sub": str(new_id()),
        "role": "user",
        "use": "access",
        "iss": settings.token_issuer,
        "aud": settings.token_audience,
        "iat": now,
        "exp": now + 600,
        "jti": str(new_id()),
    }


def encode_part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def sign(settings: Settings, header: object, claims: object) -> str:
    body = f"{encode_part(header)}.{encode_part(claims)}"
    return f"{body}.{encode_part(hmac.digest(secret(settings).encode(), body.encode(), hashlib.sha256))}"


HEADER = {"alg": "HS256", "typ": "JWT"}


def test_a_token_that_is_all_right_is_taken(settings: Settings) -> None:
    reader = TokenReader(settings)
    for claims in (
        good_claims(settings),
        good_claims(settings) | {"role": "operator"},
        good_claims(settings) | {"iat": int(time.time()) + 30},
        good_claims(settings) | {"nbf": int(time.time())},
        good_claims(settings) | {"aud": ["another", settings.token_audience]},
    ):
        caller = reader.read(sign(settings, HEADER, claims))
        assert str(caller.user_id) == claims["sub"]
        assert caller.role == claims["role"]


NOW = int(time.time())
CHANGES: dict[str, Claims] = {
    "expired": {"exp": NOW - 1},
    "expired long ago": {"exp": 0},
    "exp before 1970": {"exp": -1},
    "exp in a string": {"exp": str(NOW + 600)},
    "exp with a fraction": {"exp": NOW + 600.5},
    "exp is infinite": {"exp": float("inf")},
    "exp is no number": {"exp": float("nan")},
    "exp is true": {"exp": True},
    "exp is a list": {"exp": [NOW + 600]},
    "exp is null": {"exp": None},
    "issued in the future": {"iat": NOW + 3600},
    "iat in a string": {"iat": str(NOW)},
    "iat is null": {"iat": None},
    "not before later": {"nbf": NOW + 3600},
    "nbf is null": {"nbf": None},
    "another issuer": {"iss": "somebody"},
    "issuer in a list": {"iss": ["jobyard"]},
    "another audience": {"aud": "another-api"},
    "other audiences": {"aud": ["another-api"]},
    "no audience in the list": {"aud": []},
    "audience not in a string": {"aud": {"jobyard-api": 1}},
    "audience is a part of ours": {"aud": "jobyard"},
    "another use": {"use": "refresh"},
    "use in a list": {"use": ["access"]},
    "an unknown role": {"role": "root"},
    "sub is no id": {"sub": "ada"},
    "sub is a number": {"sub": 7},
    "sub is null": {"sub": None},
    "jti is a number": {"jti": 7},
    "at_hash of another token": {"at_hash": "x"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_claim_that_is_wrong_is_refused(settings: Settings, change: Claims) -> None:
    with pytest.raises(TokenNotValid):
        TokenReader(settings).read(sign(settings, HEADER, good_claims(settings) | change))


@pytest.mark.parametrize("claim", ["sub", "role", "use", "iss", "aud", "iat", "exp", "jti"])
def test_a_claim_that_is_missing_is_refused(settings: Settings, claim: str) -> None:
    claims = good_claims(settings)
    del claims[claim]
    with pytest.raises(TokenNotValid):
        TokenReader(settings).read(sign(settings, HEADER, claims))


@pytest.mark.parametrize("claims", [[], "text", None, 7, b"\xff\xfe", b"{", b"", b"[" * 2000, b'{"a":' * 500])
def test_claims_that_are_no_object_are_refused(settings: Settings, claims: object) -> None:
    with pytest.raises(TokenNotValid):
        TokenReader(settings).read(sign(settings, HEADER, claims))


def test_deep_headers_do_not_exhaust_the_parser(settings: Settings) -> None:
    for header in (b"[" * 2500, b'{"a":' * 500, b"\xff", b"9" * 2900):
        token = sign(settings, header, {})
        assert len(token) < LONGEST_TOKEN
        with pytest.raises(TokenNotValid):
            TokenReader(settings).read(token)


FORGERIES: dict[str, Callable[[Settings], str]] = {
    "none, no signature": lambda s: f"{encode_part({'alg': 'none'})}.{encode_part(good_claims(s))}.",
    "none in capitals": lambda s: f"{encode_part({'alg': 'NONE'})}.{encode_part(good_claims(s))}.",
    "none, signed all the same": lambda s: sign(s, {"alg": "none"}, good_claims(s)),
    "no algorithm": lambda s: sign(s, {"typ": "JWT"}, good_claims(s)),
    "algorithm in a list": lambda s: sign(s, {"alg": ["HS256"]}, good_claims(s)),
    "algorithm in an object": lambda s: sign(s, {"alg": {}}, good_claims(s)),
    "an unknown algorithm": lambda s: sign(s, {"alg": "HS257"}, good_claims(s)),
    "an encryption": lambda s: sign(s, {"alg": "dir", "enc": "A256GCM"}, good_claims(s)),
    "HS512": lambda s: jwt.encode(good_claims(s), secret(s), algorithm="HS512"),
    "RS256 by its header": lambda s: sign(s, {"alg": "RS256"}, good_claims(s)),
    "RS256 by a key of one's own": lambda s: jwt.encode(good_claims(s), _rsa_key(), algorithm="RS256"),
    "a key in the header": lambda s: sign_with(b"mine", HEADER | {"jwk": {"kty": "oct", "k": "bWluZQ"}}, s),
    "another secret": lambda s: sign_with(b"another secret that is long enough", HEADER, s),
    "an empty secret": lambda s: sign_with(b"", HEADER, s),
    "empty signature": lambda s: sign(s, HEADER, good_claims(s)).rpartition(".")[0] + ".",
    "no signature": lambda s: sign(s, HEADER, good_claims(s)).rpartition(".")[0],
    "zero signature": lambda s: sign(s, HEADER, good_claims(s)).rpartition(".")[0] + "." + "A" * 43,
    "half a signature": lambda s: sign(s, HEADER, good_claims(s))[:-20],
    "claims exchanged": lambda s: _with_claims(sign(s, HEADER, good_claims(s)), good_claims(s) | {"role": "admin"}),
    "a character in between": lambda s: sign(s, HEADER, good_claims(s)).replace(".", ".!", 1),
    "padding": lambda s: sign(s, HEADER, good_claims(s)) + "=",
    "a line after it": lambda s: sign(s, HEADER, good_claims(s)) + "\n",
    "four parts": lambda s: sign(s, HEADER, good_claims(s)) + ".x",
    "five parts": lambda _: "a.b.c.d.e",
    "huge": lambda s: sign(s, HEADER, good_claims(s) | {"more": "x" * 100_000}),
    "nothing": lambda _: "",
    "dots": lambda _: "..",
    "not ASCII": lambda _: "ä.ö.ü",
}


def sign_with(key: bytes, header: object, settings: Settings) -> str:
    body = f"{encode_part(header)}.{encode_part(good_claims(settings))}"
    return f"{body}.{encode_part(hmac.digest(key, body.encode(), hashlib.sha256))}"


def _rsa_key() -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _with_claims(token: str, claims: Claims) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encode_part(claims)}.{signature}"


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_is_refused(settings: Settings, forge: Callable[[Settings], str]) -> None:
    with pytest.raises(TokenNotValid):
        TokenReader(settings).read(forge(settings))


@pytest.mark.parametrize(
    "text",
    ["1e5" * 20, '{"keys": []}', '["a", "b"]', "1.50", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"],
)
def test_a_secret_is_only_bytes_whatever_it_looks_like(settings: Settings, text: str) -> None:
    odd = settings.model_copy(update={"secret_key": SecretStr(text)})
    token, _ = issue_access_token(odd, new_id(), "user")
    assert TokenReader(odd).read(token).role == "user"
    with pytest.raises(TokenNotValid):
        TokenReader(settings).read(token)


def test_a_remembered_token_is_refused_once_it_has_expired(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = TokenReader(settings)
    token, seconds = issue_access_token(settings, new_id(), "user")
    assert reader.read(token) is reader.read(token)
    later = time.time() + seconds + 1
    monkeypatch.setattr("api.tokens.time.time", lambda: later)
    for _ in range(2):
        with pytest.raises(TokenNotValid):
            reader.read(token)
    assert not reader._remembered  # pyright: ignore[reportPrivateUsage] - shown nowhere else


def test_what_is_remembered_is_bounded_and_good(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.tokens._REMEMBERED", 3)
    reader = TokenReader(settings)
    tokens = [sign(settings, HEADER, good_claims(settings)) for _ in range(5)]
    for token in tokens:
        reader.read(token)
        with pytest.raises(TokenNotValid):
            reader.read(token[:-5] + "AAAAA")
    assert list(reader._remembered) == tokens[-3:]  # pyright: ignore[reportPrivateUsage] - shown nowhere else
    assert reader.read(tokens[0]).role == "user"
