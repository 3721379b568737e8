"""Access tokens: short-lived JWTs, verified with an explicit algorithm, issuer and audience."""

import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from jose import JWTError, jwt

from shared.errors import JobyardError
from shared.ids import new_id
from shared.settings import Settings

ALGORITHM = "HS256"
_REQUIRED = {f"require_{claim}": True for claim in ("exp", "iat", "jti", "sub", "iss", "aud")}
_REMEMBERED = 4096


class Unauthorized(JobyardError):
    """Is raised without credentials, or with credentials that are not valid."""

    status = 401
    code = "unauthorized"
    title = "Unauthorized"

    _challenge: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers=dict(self._challenge))


@dataclass(frozen=True, slots=True)
class Caller:
    """Is who makes a request."""

    user_id: UUID
    role: str
    expires_at: float


class TokenReader:
    """Verifies access tokens and remembers the last few thousand that were good, until they expire."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._remembered: OrderedDict[str, Caller] = OrderedDict()

    def read(self, token: str) -> Caller:
        """Give the caller of a token; raises `Unauthorized` for one that is forged, expired or not for us."""
        caller = self._remembered.get(token)
        if caller is None:
            caller = self._verify(token)
            self._remembered[token] = caller
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        if caller.expires_at <= time.time():
            del self._remembered[token]
            raise Unauthorized("The access token has expired.")
        return caller

    def _verify(self, token: str) -> Caller:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._settings.secret_key.get_secret_value(),
                algorithms=[ALGORITHM],
                issuer=self._settings.token_issuer,
                audience=self._settings.token_audience,
                options=_REQUIRED,
            )
            if not hmac.compare_digest(str(claims.get("use")), "access"):
                raise Unauthorized("This is not an access token.")
            return Caller(UUID(claims["sub"]), str(claims["role"]), float(claims["exp"]))
        except (JWTError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise Unauthorized("The access token is not valid or has expired.") from error


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
    return jwt.encode(claims, settings.secret_key.get_secret_value(), algorithm=ALGORITHM), seconds
