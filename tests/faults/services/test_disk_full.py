"""A disk without room for a result: the attempt fails and says why, and nothing half is left."""

from pathlib import Path

from tests.faults.services.yards import LARGEST_FILE_BYTES, ServedYard
from tests.kinds.storing import CHUNK

TOO_LARGE_BYTES = 4 * LARGEST_FILE_BYTES


def stored_files(yard: ServedYard) -> set[Path]:
    return {path for path in Path(yard.stack.endpoints.storage_dir).rglob("*") if path.is_file()}


def listed_files(yard: ServedYard) -> set[str]:
    answer = yard.client.get("/v1/files", params={"limit": 100}).raise_for_status().json()
    assert answer["next_cursor"] is None
    return {file["id"] for file in answer["items"]}


def test_a_result_without_room_fails_clearly_and_leaves_nothing_behind(yard: ServedYard) -> None:
    stored, listed = stored_files(yard), listed_files(yard)

    path = yard.enqueue("test.fill", {"chunks": TOO_LARGE_BYTES // CHUNK})
    job = yard.wait(path)

    attempts = yard.client.get(f"{path}/attempts").raise_for_status().json()
    print(f"\nno room for a result of {TOO_LARGE_BYTES} bytes: {job['state']}, {job['error']}")
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "storage_full", 2)
    assert [(attempt["outcome"], attempt["error_code"]) for attempt in attempts] == [("errored", "storage_full")] * 2
    assert (stored_files(yard), listed_files(yard)) == (stored, listed)


def test_what_fits_is_kept(yard: ServedYard) -> None:
    stored, listed = stored_files(yard), listed_files(yard)

    job = yard.wait(yard.enqueue("test.fill", {"chunks": LARGEST_FILE_BYTES // CHUNK // 2}))

    assert job["result"] == {"size": LARGEST_FILE_BYTES // 2}
    (file_id,) = listed_files(yard) - listed
    assert [path.name for path in stored_files(yard) - stored] == [file_id]
