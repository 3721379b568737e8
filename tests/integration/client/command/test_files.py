"""`jobyard upload`, `files`, `resize`, `archive`, `mail`."""

import email
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.faults.conftest import Yard
from tests.integration.client.command.conftest import SAMPLES, Shell

CAT = SAMPLES / "cat-on-its-side.jpg"


def upload(shell: Shell, *words: str | Path) -> dict[str, Any]:
    return shell.ok("upload", "--json", *words).json


def test_files_are_stored_listed_fetched_and_deleted(shell: Shell) -> None:
    first, second = shell.ok("upload", "--json", CAT, SAMPLES / "photographer.png", "--description", "mine").json
    assert (first["name"], first["description"], first["sha256"]) == (
        CAT.name,
        "mine",
        hashlib.sha256(CAT.read_bytes()).hexdigest(),
    )
    listed = [line.split("\t")[:4] for line in shell.ok("files", "ls", "--all").lines]
    assert sorted(listed) == sorted(
        [
            [first["id"], CAT.name, str(first["size"]), "image/jpeg"],
            [second["id"], "photographer.png", str(second["size"]), "image/png"],
        ]
    )
    assert len(shell.ok("files", "ls", "--limit", "1", "--json").json) == 1
    assert shell.ok("files", "get", first["id"]).lines == [CAT.name]
    assert (shell.directory / CAT.name).read_bytes() == CAT.read_bytes()
    assert shell.ok("files", "get", first["id"], "-o", "-").output == CAT.read_bytes()
    shell.ok("files", "rm", first["id"], second["id"])
    assert shell.ok("files", "ls", "--json").json == []
    assert shell.run("files", "show", first["id"]).status == 4


def test_one_of_several_that_fails_does_not_keep_the_others(shell: Shell) -> None:
    kept, missing = upload(shell, CAT)["id"], "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44"
    finished = shell.run("files", "get", missing, kept, "-o", "new/")
    assert (finished.status, finished.lines) == (4, [f"new/{CAT.name}"])
    assert [line for line in finished.errors.splitlines() if "jobyard:" in line] == [
        "jobyard: File not found: No such file (file_not_found)"
    ]


def test_a_file_that_is_there_is_replaced_only_by_force(shell: Shell) -> None:
    file_id = upload(shell, CAT)["id"]
    (shell.directory / CAT.name).write_text("mine")
    refused = shell.run("files", "get", "-q", file_id)
    assert (refused.status, refused.errors) == (
        1,
        f"jobyard: File exists: {CAT.name} is there already; --force replaces it (file_exists)\n",
    )
    assert (shell.directory / CAT.name).read_text() == "mine"
    shell.ok("files", "get", file_id, "--force")
    assert (shell.directory / CAT.name).read_bytes() == CAT.read_bytes()
    assert [path.name for path in shell.directory.iterdir()] == [CAT.name]


def test_standard_input_is_stored_under_a_name(shell: Shell) -> None:
    file = shell.ok("upload", "--json", "-", "--name", "notes.txt", stdin=b"a note").json
    assert (file["name"], file["size"]) == ("notes.txt", 6)


def test_a_large_file_goes_in_pieces_and_is_whole(shell: Shell) -> None:
    content = b"words of a large text " * 500_000
    (shell.directory / "large.txt").write_bytes(content)
    file = upload(shell, "large.txt")
    assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert upload(shell, "--resumable", CAT)["sha256"] == hashlib.sha256(CAT.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [5_000_000, 12_000_000])
def test_why_a_file_is_refused_is_told_however_large_it_is(shell: Shell, size: int) -> None:
    (shell.directory / "noise").write_bytes(b"\x00\xff" * (size // 2))
    refused = shell.run("upload", "-q", "noise")
    assert (refused.status, "(media_type_not_allowed)" in refused.errors) == (5, True), refused.errors


def test_a_file_that_is_not_there_is_wrong_use_and_nothing_is_sent(shell: Shell) -> None:
    refused = shell.run("upload", CAT, "missing.jpg")
    assert (refused.status, refused.errors) == (2, "jobyard: Wrong use: there is no file missing.jpg (usage)\n")
    assert shell.ok("files", "ls", "--json").json == []


def test_pictures_are_resized_waited_for_and_downloaded(shell: Shell) -> None:
    finished = shell.ok("resize", CAT, SAMPLES / "deep-field.jpg", "--width", "100", "--format", "webp", "-o", "out/")
    assert [line.split("/")[0] for line in finished.lines] == ["out", "out"]
    for line in finished.lines:
        with Image.open(shell.directory / line) as image:
            assert (image.format, image.width) == ("WEBP", 100)
    assert "\x1b" not in finished.text + finished.errors


def test_a_picture_goes_through_a_pipe(shell: Shell) -> None:
    finished = shell.ok("-q", "resize", "-", "--height", "50", "-o", "-", stdin=CAT.read_bytes())
    (shell.directory / "small.jpg").write_bytes(finished.output)
    with Image.open(shell.directory / "small.jpg") as image:
        assert (image.format, image.height) == ("JPEG", 50)
    assert finished.errors == ""


def test_a_stored_picture_is_resized_to_a_name(shell: Shell) -> None:
    stored = upload(shell, CAT)["id"]
    job = shell.ok("resize", "--json", stored, "--width", "40", "-o", "small.jpg").json
    assert (job["state"], job["input"]["file_id"]) == ("succeeded", stored)
    assert (shell.directory / "small.jpg").exists()


def test_pictures_of_one_name_get_a_file_each(shell: Shell) -> None:
    for name in ("a", "b"):
        (shell.directory / name).mkdir()
        (shell.directory / name / "cat.jpg").write_bytes(CAT.read_bytes())
    finished = shell.ok("resize", "a/cat.jpg", "b/cat.jpg", "--width", "40", "-o", "out/")
    assert sorted(finished.lines) == ["out/cat-40x27-2.jpg", "out/cat-40x27.jpg"]


def test_a_picture_that_is_none_fails_alone(shell: Shell) -> None:
    (shell.directory / "none.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    finished = shell.run("resize", "none.jpg", CAT, "--width", "40", "-o", "out/")
    assert (finished.status, len(finished.lines)) == (1, 1)
    assert "jobyard: Job failed: image.resize job " in finished.errors


def test_a_resize_without_a_size_is_wrong_use(shell: Shell) -> None:
    assert shell.run("resize", CAT).status == 2
    assert shell.run("resize", CAT, CAT, "--width", "3", "-o", "one.jpg").status == 2


def test_paths_and_stored_files_are_packed(shell: Shell) -> None:
    stored = upload(shell, CAT)["id"]
    (shell.directory / "a.txt").write_text("a text")
    assert shell.ok("archive", stored, "a.txt", "-o", "all.zip").lines == ["all.zip"]
    with zipfile.ZipFile(shell.directory / "all.zip") as archive:
        assert archive.namelist() == [CAT.name, "a.txt"]
        assert archive.read(CAT.name) == CAT.read_bytes()


def test_mail_takes_its_text_from_a_pipe_and_files_with_it(shell: Shell, yard: Yard) -> None:
    sent = shell.ok(
        "mail", "--to", "ann@example.com", "--cc", "ben@example.com", "--subject", "A cat", "--attach", CAT,
        "--wait", "--json", stdin="Grüße".encode(),
    ).json  # fmt: skip
    assert [recipient["state"] for recipient in sent["recipients"]] == ["sent", "sent"]
    maildir = Path(yard.stack.endpoints.mailbox_dir or "")
    (message,) = [
        found
        for path in (maildir / "new").iterdir()
        if (found := email.message_from_bytes(path.read_bytes()))["Subject"] == "A cat"
    ]
    text, attached = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    assert isinstance(text, bytes)
    assert (text.decode().strip(), attached) == ("Grüße", CAT.read_bytes())


def test_mail_without_words_or_with_a_wrong_address_is_refused(shell: Shell) -> None:
    assert shell.run("mail", "--to", "ann@example.com", "--subject", "nothing").status == 2
    refused = shell.run("mail", "--to", "nobody", "--subject", "x", "--text", "x", "--json")
    assert (refused.status, refused.text) == (5, "")
