"""E-mails that a template makes: rendered when they are accepted, one or a batch."""

from typing import Any

from tests.conftest import Owner
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer

PAGE = "<style>p { color: red }</style><p>Hello {{ name }}</p>"


def make_template(post: Post, owner: Owner, name: str, subject: str, text: str | None, html: str | None) -> None:
    post.database.execute(
        "INSERT INTO email_templates (owner_id, name, subject, text, html) VALUES (%s, %s, %s, %s, %s)",
        (owner.id, name, subject, text, html),
    )


def send(post: Post, **body: Any) -> Any:
    return post.client.post("/v1/emails", json={"to": ["ann@example.org"]} | body, headers=post.owner.headers)


def test_a_template_makes_the_texts(post: Post, mail_server: MailServer) -> None:
    make_template(post, post.owner, "welcome", "Welcome, {{ name }}", None, PAGE)
    answer = send(post, template="welcome", variables={"name": "Ann <3"})
    assert answer.status_code == 202, answer.text
    email = answer.json()
    assert (email["subject"], email["template"]) == ("Welcome, Ann <3", "welcome")
    # What was accepted does not change with the template.
    post.database.execute("DELETE FROM email_templates")
    assert post.attempt(email) == "succeeded"
    message = mail_server.delivered[0].message
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert page is not None
    assert message["Subject"] == "Welcome, Ann <3"
    assert "Hello Ann <3" in text.get_content()
    assert "Hello Ann &lt;3" in page.get_content()
    assert 'style="color: red' in page.get_content()


def test_what_a_template_lacks_is_named(post: Post, stranger: Owner) -> None:
    make_template(post, post.owner, "order", "Order {{ number }}", "{{ customer.name }}, {{ number }}", None)
    make_template(post, stranger, "theirs", "x", "x", None)
    answer = send(post, template="order", variables={"customer": {}})
    assert (answer.status_code, answer.json()["code"]) == (422, "template_variables_missing")
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/variables/number", "/variables/customer/name"}
    for name in ("theirs", "absent"):
        answer = send(post, template=name)
        assert (answer.status_code, answer.json()["code"]) == (404, "email_template_not_found")
        assert answer.json()["errors"][0]["pointer"] == "/template"
    assert post.database.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_a_subject_stays_one_line(post: Post) -> None:
    make_template(post, post.owner, "order", "Order {{ number }}", "x", None)
    for number in ("1\r\nBcc: evil@example.org", "1\u2028", "x" * 998):
        answer = send(post, template="order", variables={"number": number})
        if answer.status_code == 202:
            subject = answer.json()["subject"]
            assert len(subject.splitlines()) == 1
            assert len(subject) <= 998
        else:
            assert answer.status_code == 422


def test_a_batch_of_templates_is_refused_one_by_one(post: Post) -> None:
    make_template(post, post.owner, "welcome", "Welcome, {{ name }}", "Hello {{ name }}", None)
    make_template(post, post.owner, "bye", "Bye, {{ name }}", "Bye {{ name }}", None)
    emails: list[dict[str, Any]] = [
        {"to": ["a@example.org"], "template": name, "variables": variables}
        for name, variables in (
            ("welcome", {"name": "A"}),
            ("bye", {}),
            ("welcome", {}),
            ("bye", {"name": "B"}),
            ("absent", {"name": "C"}),
            ("welcome", {"name": "D"}),
        )
    ]
    batch = post.client.post("/v1/emails/batch", json=emails, headers=post.owner.headers).json()
    assert batch["failed"] == 3
    made = {item["index"]: item["email"]["subject"] for item in batch["items"] if item["email"]}
    assert made == {0: "Welcome, A", 3: "Bye, B", 5: "Welcome, D"}
    refused = {item["index"]: item["error"] for item in batch["items"] if item["error"]}
    assert [refused[1]["code"], refused[4]["code"]] == ["template_variables_missing", "email_template_not_found"]
    assert refused[2]["errors"][0]["pointer"] == "/2/variables/name"
