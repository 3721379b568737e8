"""The client's image presets, on a whole Jobyard; both editions."""

from pathlib import Path
from typing import Any

import pytest

from jobyard import InvalidInput, NotFound


def test_presets_are_made_replaced_read_listed_used_and_deleted(client: Any, photograph: Path) -> None:
    made = client.image_presets.put("thumb-nails", [{"width": 40}, {"height": 30, "format": "webp"}])
    assert (made.name, [each["width"] for each in made.renditions]) == ("thumb-nails", [40, None])
    assert client.image_presets.put("other", made.renditions).renditions == made.renditions
    replaced = client.image_presets.put("thumb-nails", [{"width": 20}])
    assert replaced.updated_at > replaced.created_at == made.created_at
    assert client.image_presets.get("thumb-nails") == replaced
    assert [preset.name for preset in client.image_presets.list()] == ["other", "thumb-nails"]
    assert [preset.name for preset in client.image_presets.list(limit=1)] == ["other"]
    job = client.jobs.wait(client.images.resize(photograph, preset="thumb-nails"), 30, check=True)
    assert [each["width"] for each in job.result["renditions"]] == [20]
    client.image_presets.delete("thumb-nails")
    with pytest.raises(NotFound):
        client.image_presets.get("thumb-nails")
    with pytest.raises(NotFound):
        client.image_presets.delete("thumb-nails")
    with pytest.raises(InvalidInput) as caught:
        client.image_presets.put("other", [{"fit": "cover", "width": 5}])
    assert caught.value.errors[0].pointer.startswith("/renditions/0")
