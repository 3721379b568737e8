"""The clients that people use: tuspy, and tus-js-client on Node."""

import hashlib
import json
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from tusclient.client import TusClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import blobs
from tests.integration.uploads.conftest import StartServer
from tests.integration.uploads.tus import words

CONTENT = words(3_000_000)
HERE = Path(__file__).parent


def test_tuspy_resumes_at_another_server(start_server: StartServer, owner: Owner, settings: Settings) -> None:
    # It leaves files open that it opened itself.
    source = BytesIO(CONTENT)
    first = start_server()
    client = TusClient(f"http://{first.host}:{first.port}/v1/uploads", owner.headers)
    told = {"filename": "wörter.txt", "description": "Many words"}
    begun = client.uploader(file_stream=source, chunk_size=400_000, metadata=told, upload_checksum=True)
    begun.upload(stop_at=1_000_000)
    first.memory.terminate()
    assert first.wait_exit() == 0

    second = start_server()
    url = f"http://{second.host}:{second.port}{(begun.url or '').partition(str(first.port))[2]}"
    resumed = client.uploader(file_stream=source, url=url, chunk_size=700_000)
    assert resumed.offset == 1_000_000
    resumed.upload()

    with second.client() as api:
        file = api.get(url.replace("/uploads/", "/files/"), headers=owner.headers).json()
    assert (file["name"], file["description"]) == ("wörter.txt", "Many words")
    assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert len(blobs(settings.storage_dir)) == 1


@pytest.fixture(scope="session")
def node_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install tus-js-client, as locked, outside the checkout."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "upload.mjs"):
        shutil.copy(HERE / name, folder)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=120)  # noqa: S607 - whichever npm is there
    return folder


@pytest.mark.root_linux
def test_tus_js_client_resumes_after_a_lost_network_and_a_closed_page(
    start_server: StartServer, owner: Owner, settings: Settings, node_project: Path
) -> None:
    source = node_project / "words.txt"
    source.write_bytes(CONTENT)
    server, token = start_server(), owner.headers["Authorization"].removeprefix("Bearer ")

    command = ["node", "upload.mjs", server.host, str(server.port), token, str(source)]
    seen = json.loads(subprocess.check_output(command, cwd=node_project, timeout=60))

    assert seen["cuts"] == 1
    assert seen["sent"][0] == ["POST", 201]
    # It asked where to go on after the cut and on the new page, and once more if what was cut came late.
    refused = seen["sent"].count(["PATCH", 409])
    assert [answer for answer in seen["sent"] if answer[0] == "HEAD"] == [["HEAD", 200]] * (2 + refused)
    assert refused <= 1
    assert seen["sent"][-1] == ["PATCH", 204]
    assert seen["file"] == seen["url"].replace("/uploads/", "/files/")
    with server.client() as api:
        file = api.get(seen["file"], headers=owner.headers).json()
    assert (file["name"], file["sha256"]) == ("café.txt", hashlib.sha256(CONTENT).hexdigest())
    assert len(blobs(settings.storage_dir)) == 1
