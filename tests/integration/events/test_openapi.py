"""What OpenAPI and the page say of events is what the registry says."""

from typing import Any

from fastapi.testclient import TestClient

from shared.events import EVENT_TYPES


def test_openapi_describes_each_event_as_a_webhook(client: TestClient) -> None:
    document: dict[str, Any] = client.get("/openapi.json").json()
    assert list(document["webhooks"]) == list(EVENT_TYPES)
    schemas = document["components"]["schemas"]
    for name, event in EVENT_TYPES.items():
        operation = document["webhooks"][name]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        assert operation["summary"] == event.summary
        assert content["example"]["data"] == event.example
        carried = content["schema"]["properties"]["data"]["$ref"].rpartition("/")[2]
        assert set(schemas[carried]["required"]) <= event.example.keys()


def test_the_page_shows_each_event_and_loads_nothing(client: TestClient) -> None:
    page = client.get("/docs/events")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name, event in EVENT_TYPES.items():
        assert f'id="{name}"' in page.text
        assert event.summary in page.text
