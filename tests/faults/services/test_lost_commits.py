"""A COMMIT that was made, and whose answer is lost: one row, one completion, and the winner keeps its files."""

from uuid import uuid4

import pytest

from tests.faults.services.yards import ProxiedYard

ENQUEUE = "INSERT INTO jobs ("
CLAIM = "UPDATE jobs SET state = 'running'"
SUCCEED = "UPDATE jobs SET state = 'succeeded'"
END = "AS delay FROM jobs"


def find_jobs(yard: ProxiedYard, tag: str) -> list[str]:
    """Find the paths of the jobs with a tag."""
    listed = yard.client.get("/v1/jobs", params={"tag": tag}).raise_for_status().json()
    return [f"/v1/jobs/{job['id']}" for job in listed["items"]]


@pytest.mark.parametrize("key", [None, "lost-commit"])
def test_a_job_whose_acceptance_was_lost_is_done_once(proxied: ProxiedYard, key: str | None) -> None:
    tag = f"enqueue-{uuid4()}"
    body = {"kind": "test.echo", "input": {"text": "enqueued"}, "tags": [tag]}
    headers = {"Idempotency-Key": key} if key else {}
    cut = proxied.postgres_line.cut_answer_to(ENQUEUE)

    answer = proxied.client.post("/v1/jobs", json=body, headers=headers)

    cut.wait()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    if key:
        again = proxied.client.post("/v1/jobs", json=body, headers=headers)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
        assert find_jobs(proxied, tag) == [again.headers["location"]]
    (path,) = find_jobs(proxied, tag)
    assert proxied.wait(path)["result"] == {"text": "enqueued", "attempt": 1}
    assert proxied.count_attempts([path]) == {1: 1}
    print(f"\nlost at enqueue, {'with' if key else 'without'} a key: {answer.status_code}, one row, one completion")


def test_a_claim_that_was_lost_is_found_again(proxied: ProxiedYard) -> None:
    cut = proxied.postgres_line.cut_answer_to(CLAIM)

    job = proxied.wait(path := proxied.enqueue("test.echo", {"text": "claimed"}))

    cut.wait()
    assert (job["state"], job["result"]) == ("succeeded", {"text": "claimed", "attempt": 1})
    assert proxied.count_attempts([path]) == {1: 1}
    print("\nlost at claim: one attempt, succeeded")


def test_a_success_that_was_lost_keeps_its_files(proxied: ProxiedYard) -> None:
    cut = proxied.postgres_line.cut_answer_to(SUCCEED)

    path = proxied.enqueue("test.echo", {"text": "the winner's words", "ending": "output"})
    job = proxied.wait(path)

    cut.wait()
    # The job is done before its worker knows; when others hold all slots, it has made up its mind about the file.
    for gate in proxied.begin_at_gates("after the finish").values():
        gate.write_text("through")
    files = proxied.client.get("/v1/files").raise_for_status().json()["items"]
    (file,) = [file for file in files if file["job_id"] == job["id"]]
    content = proxied.client.get(f"/v1/files/{file['id']}/content").raise_for_status()
    assert (job["state"], content.text) == ("succeeded", "the winner's words")
    assert proxied.read(path) == job
    assert proxied.count_attempts([path]) == {1: 1}
    print("\nlost at finish: one completion, its file is there")


@pytest.mark.parametrize(("ending", "state", "attempts"), [("retry_once", "succeeded", 2), ("fail", "failed", 1)])
def test_an_ending_that_was_lost_counts_once(proxied: ProxiedYard, ending: str, state: str, attempts: int) -> None:
    cut = proxied.postgres_line.cut_answer_to(END)
    path = proxied.enqueue("test.echo", {"ending": ending})
    job = proxied.wait(path)

    cut.wait()
    assert (job["state"], job["attempt"]) == (state, attempts)
    assert proxied.count_attempts([path]) == {attempts: 1}
    print(f"\nlost at the end of an attempt ({ending}): {attempts} in all, {state}")
