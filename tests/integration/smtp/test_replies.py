"""What is read from a server's reply."""

import pytest
from aiosmtplib import SMTPResponse

from worker.smtp_replies import NEEDS_SMTPUTF8, Reply, read_reply


@pytest.mark.parametrize(
    ("said", "enhanced", "text"),
    [
        ("5.1.1 No such user", "5.1.1", "No such user"),
        ("4.2.123 Busy", "4.2.123", "Busy"),
        ("5.1.1 No such user\n5.1.1 Look at https://example.com/5.1.1", "5.1.1",
         "No such user\nLook at https://example.com/5.1.1"),
        ("5.1.1 No such user\nbye", "5.1.1", "No such user\nbye"),
        ("No such user\n5.1.1 it is", None, "No such user\n5.1.1 it is"),
        ("5.7.26\n5.7.26 DMARC", "5.7.26", "DMARC"),
        ("5.1.1.1 is no code", None, "5.1.1.1 is no code"),
        ("3.1.1 is no code", None, "3.1.1 is no code"),
        ("15.1.1 is no code", None, "15.1.1 is no code"),
        ("", None, ""),
    ],
)  # fmt: skip
def test_enhanced_codes_are_taken_off_each_line(said: str, enhanced: str | None, text: str) -> None:
    reply = read_reply(SMTPResponse(550, said))
    assert (reply.code, reply.enhanced, reply.text) == (550, enhanced, text)


@pytest.mark.parametrize(
    ("code", "enhanced", "is_hard"),
    [
        (550, "5.1.1", True),
        (550, "5.1.10", True),
        (553, "5.1.3", True),
        (550, "5.1.6", True),
        (550, "5.2.1", True),
        (550, None, True),
        (551, None, True),
        (553, None, True),
        # What is said of the sender, the mailbox's size, a policy, the message or the server is not about the address.
        (550, "5.1.7", False),
        (550, "5.1.8", False),
        (552, "5.2.2", False),
        (552, None, False),
        (550, "5.7.1", False),
        (550, "5.4.1", False),
        (550, "5.0.0", False),
        (554, None, False),
        (530, None, False),
        (503, None, False),
        (450, "4.1.1", False),
        # The enhanced code of another class contradicts its reply.
        (450, "5.1.1", False),
        (550, "4.1.1", False),
        (250, "2.1.5", False),
    ],
)
def test_an_address_is_bad_only_if_the_server_says_so_of_it(code: int, enhanced: str | None, *, is_hard: bool) -> None:
    assert Reply(code, enhanced, "", about_address=True).hard_bounce is is_hard
    assert Reply(code, enhanced, "").hard_bounce is False


@pytest.mark.parametrize(
    ("code", "accepted", "refused"),
    [(250, True, False), (251, True, False), (450, False, False), (550, False, True), (None, False, False)],
)
def test_a_reply_is_a_yes_a_no_or_a_not_now(code: int | None, *, accepted: bool, refused: bool) -> None:
    reply = Reply(code, None, "")
    assert (reply.accepted, reply.refused) == (accepted, refused)


def test_what_postgresql_cannot_store_is_taken_out() -> None:
    said = b"5.1.1 a\0b \xff\xed\xa0\x80 gr\xc3\xbc\xc3\x9fe ".decode("utf-8", "surrogateescape") + "x" * 10_000
    reply = read_reply(SMTPResponse(550, said))
    assert reply.text.startswith("ab ???? grüße xxx")
    assert len(reply.text) == 500


def test_one_who_needs_smtputf8_is_refused_and_not_bad() -> None:
    assert NEEDS_SMTPUTF8.refused
    assert not NEEDS_SMTPUTF8.hard_bounce
