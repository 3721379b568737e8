"""What clients send and get about accounts and tokens."""

import unicodedata
from typing import Annotated, Any, Literal

import email_validator
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Secret,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

LONGEST_EMAIL = 254
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 128


def normalise_email(address: str) -> str:
    """Give the one spelling of an address (domain in lower case and Unicode, NFC); nothing is looked up.

    Raises `EmailNotValidError`.
    """
    return email_validator.validate_email(address, check_deliverability=False).normalized


def _check_email(address: str) -> str:
    try:
        return normalise_email(address)
    except email_validator.EmailNotValidError as error:
        raise PydanticCustomError("invalid_email", "{reason}", {"reason": str(error)}) from None


def _refuse_controls(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise PydanticCustomError("control_character", "Control characters are not allowed.")
    return text


def _refuse_surrogates(text: str) -> str:
    if any(unicodedata.category(character) == "Cs" for character in text):
        raise PydanticCustomError("invalid_unicode", "Should be valid Unicode.")
    return text


_SECRET: JsonDict = {"format": "password", "writeOnly": True}

EmailAddress = Annotated[
    str,
    StringConstraints(max_length=LONGEST_EMAIL),
    AfterValidator(_check_email),
    Field(description="An e-mail address.", examples=["ada@example.com"], json_schema_extra={"format": "email"}),
]
SignInName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_EMAIL),
    AfterValidator(_refuse_controls),
    Field(description="The account's e-mail address; case does not matter.", examples=["ada@example.com"]),
]
NewPassword = Annotated[
    Secret[
        Annotated[
            str,
            StringConstraints(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD),
            AfterValidator(_refuse_surrogates),
        ]
    ],
    Field(
        description="8 to 128 characters, any; every one counts.",
        examples=["correct horse battery staple"],
        json_schema_extra=_SECRET,
    ),
]
KnownPassword = Annotated[
    Secret[
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=LONGEST_PASSWORD),
            AfterValidator(_refuse_surrogates),
        ]
    ],
    Field(
        description="The account's password.",
        examples=["correct horse battery staple"],
        json_schema_extra=_SECRET,
    ),
]
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_refuse_controls),
    Field(description="How to address the person.", examples=["Ada Lovelace"]),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Registration(_Body):
    """Asks for an account."""

    email: EmailAddress
    password: NewPassword
    name: PersonName | None = None


class SignIn(_Body):
    """Proves who somebody is."""

    email: SignInName
    password: KnownPassword


class TokenForm(BaseModel):
    """Is the form of OAuth 2's password grant (RFC 6749, section 4.3.2); clients may send more, which is ignored."""

    grant_type: Literal["password"] = "password"
    username: SignInName
    password: KnownPassword


class RefreshBody(_Body):
    """Holds a refresh token."""

    refresh_token: Annotated[
        Secret[Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_refuse_surrogates)]],
        Field(examples=["n3Yq0wF4b1m6T8u2Xc5Vz7Lk9Jh1Gf3Ds5Aa7Qp0We"]),
    ]


class TokenPair(BaseModel):
    """Holds what a sign-in gives."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln",
                "token_type": "bearer",
                "expires_in": 900,
                "refresh_token": "n3Yq0wF4b1m6T8u2Xc5Vz7Lk9Jh1Gf3Ds5Aa7Qp0We",
            }
        }
    )

    access_token: str = Field(
        description="Send it as `Authorization: Bearer …`.", examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln"]
    )
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name
    expires_in: int = Field(description="Seconds that the access token is good for.", examples=[900])
    refresh_token: str = Field(
        description="Gives the next pair, once: it is spent by that.",
        examples=["n3Yq0wF4b1m6T8u2Xc5Vz7Lk9Jh1Gf3Ds5Aa7Qp0We"],
    )


class AccountChange(_Body):
    """Changes what is given; `name: null` removes the name."""

    name: PersonName | None = None
    password: NewPassword | None = None
    current_password: Annotated[KnownPassword | None, Field(validate_default=True)] = None

    @field_validator("current_password")
    @classmethod
    def _require_with_password(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get("password") is not None:
            raise PydanticCustomError("missing", "A new password needs the current one.")
        return value
