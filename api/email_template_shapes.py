"""The shapes of templates of e-mails."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from api.email_variables import Variables, require_storable
from shared.mail_templates import LARGEST_SOURCE

LONGEST_SUBJECT_SOURCE = 8 * 1024

_SOURCES: JsonDict = {
    "subject": "Your order {{ order.number }}",
    "text": None,
    "html": "<p>Hello {{ name|default('there') }}, {{ order.items|length }} things are on their way.</p>",
}
_SUMMARY: JsonDict = {
    "name": "order-confirmed",
    "subject": _SOURCES["subject"],
    "created_at": "2026-11-24T12:00:00Z",
    "updated_at": "2026-11-24T12:00:00Z",
    "links": {
        "self": "/v1/email-templates/order-confirmed",
        "preview": "/v1/email-templates/order-confirmed/preview",
    },
}
_SHOWN: JsonDict = {**_SUMMARY, **_SOURCES, "variables": ["name", "order"]}

Source = Annotated[str, Field(max_length=LARGEST_SOURCE), AfterValidator(require_storable)]


class EmailTemplateBody(BaseModel):
    """Says what a template makes of variables, in the language of Jinja."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _SOURCES})

    subject: Source = Field(
        min_length=1, max_length=LONGEST_SUBJECT_SOURCE, description="What it makes must be one line."
    )
    text: Source | None = Field(None, description="`text`, `html` or both must be given.")
    html: Source | None = Field(
        None,
        description="What variables show here is escaped. CSS in a <style> is moved into the elements, and a text part "
        "is derived from the page when `text` is null.",
    )

    @model_validator(mode="after")
    def _require_content(self) -> Self:
        if self.text is None and self.html is None:
            raise PydanticCustomError("content_missing", "text, html or both must be given")
        return self


class EmailTemplateLinks(BaseModel):
    """Holds the paths of a template."""

    self_: str = Field(alias="self")
    preview: str


class EmailTemplateSummary(BaseModel):
    """Is a template as a list shows it."""

    model_config = ConfigDict(json_schema_extra={"example": _SUMMARY})

    name: str
    subject: str
    created_at: datetime
    updated_at: datetime = Field(description="When its sources were replaced; e-mails accepted before keep theirs.")
    links: EmailTemplateLinks


class EmailTemplate(EmailTemplateSummary):
    """Is a template as its owner sees it."""

    model_config = ConfigDict(json_schema_extra={"example": _SHOWN})

    text: str | None
    html: str | None
    variables: list[str] = Field(description="The variables that the template knows, sorted; some may be optional.")


class PreviewBody(BaseModel):
    """Gives the variables of a preview."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"variables": {"name": "Ann", "order": {"number": 7, "items": ["A lamp"]}}}},
    )

    variables: Variables = Field(default_factory=dict[str, Any])


class Preview(BaseModel):
    """Is what a recipient would get."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "subject": "Your order 7",
                "text": "Hello Ann, 1 things are on their way.\n",
                "html": "<p>Hello Ann, 1 things are on their way.</p>",
            }
        }
    )

    subject: str
    text: str | None
    html: str | None
