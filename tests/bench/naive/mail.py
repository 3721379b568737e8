"""The guide's way with mail (its sections 9.1 and 9.3): a task for each recipient, a connection for each message.

It is given what its design allows: neither a sleep, as the guide's has, nor TLS and a login, and one process's front.
Unlike the guide's task, a failure is one.
"""

import os
import smtplib
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from tests.bench.naive.tasks import app as celery_app

PORT = int(os.environ["NAIVE_SMTP_PORT"])
SENDER = "bench@example.com"

app = FastAPI()


class Notification(BaseModel):
    """Asks for a message to each of some addresses."""

    to_emails: list[str]
    subject: str
    text: str
    html: str


def send_email(to_email: str, subject: str, text: str, html: str) -> dict[str, str]:
    """Send one message."""
    message = MIMEMultipart("alternative")
    message["From"] = SENDER
    message["To"] = to_email
    message["Subject"] = subject
    message.attach(MIMEText(text, "plain"))
    message.attach(MIMEText(html, "html"))
    server = smtplib.SMTP("127.0.0.1", PORT)
    server.sendmail(SENDER, to_email, message.as_string())
    server.quit()
    return {"status": "success", "email": to_email}


send_email_task: Any = celery_app.task(name="naive.send_email")(send_email)


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer."""
    return {"status": "ok"}


@app.post("/send-notification")
async def send_notification(body: Notification) -> dict[str, str]:
    """Start a task for each address."""
    for email in body.to_emails:
        send_email_task.delay(email, body.subject, body.text, body.html)
    return {"message": f"Notification will be sent to {len(body.to_emails)} recipients"}
