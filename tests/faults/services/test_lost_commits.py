"""A line that is cut around a COMMIT: whether it was made or not, one row, one completion, and the winner's files."""

from uuid import uuid4

import pytest

from tests.faults.services.yards import ProxiedYard

ENQUEUE = "INSERT INTO jobs ("
CLAIM = "UPDATE jobs SET state = 'running'"
SUCCEED = "UPDATE jobs SET state = 'succeeded'"
END = "AS delay FROM jobs"

whether_committed = pytest.mark.parametrize("committed", [True, False], ids=["answer lost", "request lost"])


def find_jobs(yard: ProxiedYard, tag: str) -> list[str]:
    """Find the paths of the jobs with a tag."""
    listed = yard.client.get("/v1/jobs", params={"tag": tag}).raise_for_status().json()
    return [f"/v1/jobs/{job['id']}" for job in listed["items"]]


@whether_committed
@pytest.mark.parametrize("key", [None, "lost-commit"])
def test_a_job_is_there_once_or_not_at_all(proxied: ProxiedYard, key: str | None, *, committed: bool) -> None:
    tag = f"enqueue-{uuid4()}"
    body = {"kind": "test.echo", "input": {"text": "enqueued"}, "tags": [tag]}
    headers = {"Idempotency-Key": f"{key}-{committed}"} if key else {}
    cut = proxied.postgres_line.cut_at(ENQUEUE, committed=committed)

    answer = proxied.client.post("/v1/jobs", json=body, headers=headers)

    cut.wait()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    expected = int(committed)
    if key:
        again = proxied.client.post("/v1/jobs", json=body, headers=headers)
        replayed = "true" if committed else None
        assert (again.status_code, again.headers.get("idempotency-replayed")) == (202, replayed)
        assert find_jobs(proxied, tag) == [again.headers["location"]]
        expected = 1
    paths = find_jobs(proxied, tag)
    assert [proxied.wait(path)["result"] for path in paths] == [{"text": "enqueued", "attempt": 1}] * expected
    assert proxied.count_attempts(paths) == ({1: 1} if expected else {})
    print(f"\ncut at enqueue, {committed=}, {key=}: 503, {len(paths)} row, as many completions")


@whether_committed
def test_a_claim_is_made_once(proxied: ProxiedYard, *, committed: bool) -> None:
    cut = proxied.postgres_line.cut_at(CLAIM, committed=committed)

    job = proxied.wait(path := proxied.enqueue("test.echo", {"text": "claimed"}))

    cut.wait()
    assert (job["state"], job["result"]) == ("succeeded", {"text": "claimed", "attempt": 1})
    assert proxied.count_attempts([path]) == {1: 1}
    print(f"\ncut at claim, {committed=}: one attempt, succeeded")


@whether_committed
def test_a_success_keeps_its_files(proxied: ProxiedYard, *, committed: bool) -> None:
    cut = proxied.postgres_line.cut_at(SUCCEED, committed=committed)

    path = proxied.enqueue("test.echo", {"text": "the winner's words", "ending": "output"})
    job = proxied.wait(path)

    cut.wait()
    # The job is done before its worker knows; when others hold all slots, it has made up its mind about the file.
    for gate in proxied.begin_at_gates(f"after the finish {committed}").values():
        gate.write_text("through")
    files = proxied.client.get("/v1/files").raise_for_status().json()["items"]
    (file,) = [file for file in files if file["job_id"] == job["id"]]
    content = proxied.client.get(f"/v1/files/{file['id']}/content").raise_for_status()
    assert (job["state"], content.text) == ("succeeded", "the winner's words")
    assert proxied.read(path) == job
    assert proxied.count_attempts([path]) == {1: 1}
    print(f"\ncut at finish, {committed=}: one completion, its file is there")


@whether_committed
@pytest.mark.parametrize(("ending", "state", "attempts"), [("retry_once", "succeeded", 2), ("fail", "failed", 1)])
def test_another_ending_counts_once(
    proxied: ProxiedYard, ending: str, state: str, attempts: int, *, committed: bool
) -> None:
    cut = proxied.postgres_line.cut_at(END, committed=committed)
    path = proxied.enqueue("test.echo", {"ending": ending})
    job = proxied.wait(path)

    cut.wait()
    assert (job["state"], job["attempt"]) == (state, attempts)
    assert proxied.count_attempts([path]) == {attempts: 1}
    print(f"\ncut at the end of an attempt ({ending}), {committed=}: {attempts} in all, {state}")
