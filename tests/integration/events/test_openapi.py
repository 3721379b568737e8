"""What OpenAPI and the page say of events is what the registry says."""

from typing import Any

from fastapi.testclient import TestClient

from api.event_docs import SENT_EVENTS
from api.schema_fields import fields_of
from shared.email_shapes import EmailSummary
from shared.event_shapes import RecipientOfEmail
from shared.events import EVENT_TYPES
from shared.schemas import Job


def test_openapi_describes_each_event_as_a_webhook(client: TestClient) -> None:
    document: dict[str, Any] = client.get("/openapi.json").json()
    assert list(document["webhooks"]) == [*EVENT_TYPES, "webhook.test"]
    schemas = document["components"]["schemas"]
    for name, event in SENT_EVENTS.items():
        operation = document["webhooks"][name]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        assert operation["summary"] == event.summary
        assert content["schema"]["properties"]["type"] == {"const": name}
        assert content["example"]["data"] == event.example | {"omitted": None}
        carried = content["schema"]["properties"]["data"]["allOf"][0]["$ref"].rpartition("/")[2]
        assert set(schemas[carried]["required"]) <= event.example.keys()
        assert [each["name"] for each in operation["parameters"]] == [
            "webhook-id", "webhook-timestamp", "webhook-signature",
        ]  # fmt: skip


def test_what_an_event_carries_is_described_once(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert {"Job", "File", "EmailSummary", "RecipientOfEmail", "Account", "Webhook"} <= schemas.keys()
    assert not [name for name in schemas if name.endswith(("-Input", "-Output"))]


def test_the_page_shows_each_event_and_loads_nothing(client: TestClient) -> None:
    page = client.get("/docs/events")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name, event in SENT_EVENTS.items():
        assert f'id="{name}"' in page.text
        assert event.summary in page.text


def test_the_table_of_fields_goes_down_to_what_stands_within_others() -> None:
    job, email = ({field.name: field for field in fields_of(model)} for model in (Job, EmailSummary))
    assert (job["progress.percent"].value, job["links.self"].value) == ("number or null", "string")
    assert job["error"].value == "object or null"
    assert job["error.code"].description.startswith("A stable word")
    assert "queued, running" in job["state"].value
    assert (email["inline_images"].value, email["inline_images[].file_id"].value) == ("list of object", "uuid")
    assert "recipient.message_id" in {field.name for field in fields_of(RecipientOfEmail)}
