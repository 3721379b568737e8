"""A Jobyard that keeps its blobs in a bucket: everything works there, and a bucket that is away loses nothing."""

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from urllib.parse import urlsplit

import pytest

from api.storage_calls import THREADS
from ops.paths import ROOT
from tests.faults.conftest import ACCOUNT, JSON, Yard, open_yard
from tests.faults.proxies.tcp_proxy import Proxy
from tests.s3_server import S3Server

PHOTO = ROOT / "jobyard" / "samples" / "cat-on-its-side.jpg"
LARGE = b"0123456789abcde\n" * 1024 * 1024


@dataclass(frozen=True)
class BucketYard:
    """Is a running Jobyard, and the line to its bucket."""

    yard: Yard
    line: Proxy

    def upload(self, content: bytes, name: str) -> JSON:
        files = {"file": (name, content)}
        return self.yard.client.post("/v1/files", files=files).raise_for_status().json()


@pytest.fixture(scope="module")
def stored(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, make_ledger: Callable[[], Mapping[str, str]]
) -> Iterator[BucketYard]:
    port = urlsplit(s3_server.endpoint).port
    assert port is not None
    with Proxy(port) as line:
        environment = s3_server.environment | {
            "STORAGE_URL": s3_server.make_bucket(),
            "AWS_ENDPOINT_URL": line.url(s3_server.endpoint),
        }
        directory = tmp_path_factory.mktemp("bucket")
        with open_yard(directory, environment=environment, given=make_ledger()) as yard:
            yield BucketYard(yard, line)


def test_everything_works_in_a_bucket(stored: BucketYard) -> None:
    client = stored.yard.client
    made = client.post(
        "/v1/images",
        files={"file": ("cat.jpg", PHOTO.read_bytes())},
        data={"width": "100"},
        headers={"Prefer": "wait=30"},
    )
    rendition = made.raise_for_status().json()["result"]["renditions"][0]
    large = stored.upload(LARGE, "large.txt")
    path = stored.yard.enqueue("archive.create", {"file_ids": [rendition["file_id"], large["id"]]})
    archive = stored.yard.wait(path)["result"]

    content = client.get(f"/v1/files/{archive['file_id']}/content").raise_for_status().content

    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.read("large.txt") == LARGE
        assert len(packed.namelist()) == 2
    client.delete(large["links"]["self"]).raise_for_status()
    assert client.get(large["links"]["content"]).status_code == 404
    assert not list(Path(stored.yard.stack.endpoints.storage_dir).rglob("*"))


def test_a_bucket_that_is_away(stored: BucketYard) -> None:
    client = stored.yard.client
    doomed, kept = stored.upload(b"words", "doomed.txt"), stored.upload(LARGE, "kept.txt")
    stored.line.go_away()
    try:
        refused = [
            client.post("/v1/files", content=b"small"),
            client.post("/v1/files", content=LARGE),
            client.get(kept["links"]["content"]),
        ]
        assert client.get("/health/ready").status_code == 503
        # The row goes, the blob later: files.clean finds it.
        assert client.delete(doomed["links"]["self"]).status_code == 204
        path = stored.yard.enqueue("file.inspect", {"file_id": kept["id"]}, max_attempts=10)
        retrying = stored.yard.read(path)
        while retrying["state"] != "retrying":
            tag = f'"{retrying["version"]}"'
            retrying = stored.yard.get(path, **{"Prefer": "wait=30", "If-None-Match": tag}).json()
    finally:
        stored.line.come_back()

    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(503, "storage_unavailable")] * 3
    assert retrying["last_error"]["code"] == "storage_unavailable"
    assert stored.yard.wait(path)["result"]["sha256"] == kept["sha256"]
    assert client.get(kept["links"]["content"]).content == LARGE
    names = [file["name"] for file in client.get("/v1/files").json()["items"]]
    assert names[0] == "kept.txt"


def test_an_attempt_ends_while_the_bucket_that_holds_its_output_is_away(stored: BucketYard) -> None:
    yard = stored.yard
    yard.make_gate("ends.1")
    path = yard.enqueue("test.output_at_gate", {"path": str(yard.gates / "ends")})
    yard.wait_for_attempt(path, 1)
    stored.line.go_away()
    try:
        yard.client.post(f"{path}/cancel").raise_for_status()
        job = yard.wait(path)
    finally:
        stored.line.come_back()

    attempts = yard.client.get(f"{path}/attempts").raise_for_status().json()
    assert (job["state"], [attempt["outcome"] for attempt in attempts]) == ("cancelled", ["cancelled"])


def test_a_bucket_that_says_nothing_stops_nobody_else(stored: BucketYard) -> None:
    # More than there are threads for the storage.
    uploads = THREADS + 6
    client = stored.yard.client
    at_once = Barrier(uploads + 1)

    def upload() -> int:
        at_once.wait()
        return client.post("/v1/files", content=b"small").status_code

    stored.line.fall_silent()
    try:
        with ThreadPoolExecutor(uploads) as pool:
            sent = [pool.submit(upload) for _ in range(uploads)]
            at_once.wait()
            ready = client.get("/health/ready")
            account = client.post("/v1/auth/login", json=ACCOUNT)
            path = stored.yard.enqueue("test.echo", {})
            done = stored.yard.wait(path)
            stored.line.come_back()
            # The other end does not know these connections any more.
            stored.line.cut()
            answered = Counter(each.result() for each in sent)
    finally:
        stored.line.come_back()

    assert (ready.status_code, ready.json()["storage"]) == (503, "unavailable")
    assert (account.status_code, done["state"]) == (200, "succeeded")
    assert answered.keys() <= {201, 503}
    assert client.get("/health/ready").status_code == 200
