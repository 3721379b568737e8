"""Access tokens: short-lived JWTs, verified with an explicit algorithm, issuer and audience."""

import base64
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from uuid import UUID

from jose import JWTError, jwk, jwt
from jose.backends.base import Key
from pydantic import BaseModel, StrictInt

from shared.errors import JobyardError
from shared.ids import new_id
from shared.settings import Settings

ALGORITHM = "HS256"
LONGEST_TOKEN = 4096
CLOCK_SKEW_SECONDS = 60
_REQUIRED = {f"require_{claim}": True for claim in ("exp", "iat", "jti", "sub", "iss", "aud")}
_REMEMBERED = 4096

# Three parts of base64url, the last one 32 bytes. The library skips characters that are none, so that many
# different strings would be one token.
_SHAPE = re.compile(r"[\w-]+\.[\w-]+\.[\w-]{43}", re.ASCII)


class Unauthorized(JobyardError):
    """Is raised without credentials, or with credentials that are not valid."""

    status = 401
    code = "unauthorized"
    title = "Unauthorized"

    challenge: ClassVar[str] = "Bearer"

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail, pointer=pointer, headers={"WWW-Authenticate": self.challenge})


class TokenNotValid(Unauthorized):
    """Is raised for an access token that is forged, expired or not for us (RFC 6750, section 3.1)."""

    challenge = 'Bearer error="invalid_token"'


@dataclass(frozen=True, slots=True)
class Caller:
    """Is who makes a request."""

    user_id: UUID
    role: str
    expires_at: float


class _Claims(BaseModel):
    """Declares what the claims must be: the library takes numbers in strings, and any `iat` at all."""

    sub: UUID
    role: Literal["user", "operator", "admin"]
    use: Literal["access"]
    iat: StrictInt
    exp: StrictInt


class TokenReader:
    """Verifies access tokens and remembers the last few thousand that were good, until they expire.

    A token that was refused is never remembered. A user's role is the one that the token was issued with.
    """

    def __init__(self, settings: Settings) -> None:
        self._key = signing_key(settings)
        self._issuer = settings.token_issuer
        self._audience = settings.token_audience
        self._remembered: OrderedDict[str, Caller] = OrderedDict()

    def read(self, token: str) -> Caller:
        """Give the caller of a token; raises `TokenNotValid`."""
        caller = self._remembered.get(token)
        if caller is None:
            caller = self._verify(token)
            self._remembered[token] = caller
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        if caller.expires_at <= time.time():
            del self._remembered[token]
            raise TokenNotValid("The access token has expired.")
        return caller

    def _verify(self, token: str) -> Caller:
        if len(token) > LONGEST_TOKEN or not _SHAPE.fullmatch(token):
            raise TokenNotValid("This is not an access token.")
        try:
            decoded: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                options=_REQUIRED,
            )
            claims = _Claims.model_validate(decoded)
        # The header is parsed before the signature is checked: it may nest too deep for the parser.
        except (JWTError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise TokenNotValid("The access token is not valid or has expired.") from error
        if claims.iat > time.time() + CLOCK_SKEW_SECONDS:
            raise TokenNotValid("The access token is not valid yet.")
        return Caller(claims.sub, claims.role, float(claims.exp))


def issue_access_token(settings: Settings, user_id: UUID, role: str) -> tuple[str, int]:
    """Make an access token; gives it with its lifetime in seconds."""
    seconds = settings.access_token_minutes * 60
    now = int(time.time())
    claims = {
        "sub": str(user_id),
        "role": role,
        "use": "access",
        "iss": settings.token_issuer,
        "aud": settings.token_audience,
        "iat": now,
        "exp": now + seconds,
        "jti": str(new_id()),
    }
    return jwt.encode(claims, signing_key(settings), algorithm=ALGORITHM), seconds


def signing_key(settings: Settings) -> Key:
    """Make the key of the secret, as bytes: given a string, the library would read JSON or PEM into it."""
    secret = base64.urlsafe_b64encode(settings.secret_key.get_secret_value().encode()).decode().rstrip("=")
    return jwk.construct({"kty": "oct", "k": secret}, ALGORITHM)
