"""The limit: `python -m tests.bench.mail_kept PORT COUNT` sends finished messages over one connection of aiosmtplib.

One after the other, in one process, for nobody who waits for a word about it. Prints the time at which it began, and
its CPU seconds.
"""

import asyncio
import json
import sys
import time
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import aiosmtplib

from tests.bench.mail_texts import SENDER, address, message


def compose(number: int) -> bytes:
    """Make a recipient's message."""
    texts = message(number)
    composed = MIMEMultipart("alternative")
    composed["From"] = SENDER
    composed["To"] = address(number)
    composed["Subject"] = texts["subject"]
    composed.attach(MIMEText(texts["text"], "plain"))
    composed.attach(MIMEText(texts["html"], "html"))
    return composed.as_bytes()


async def send(port: int, count: int) -> tuple[float, float]:
    """Send; gives the time at which it began, and its CPU seconds."""
    messages = [(address(number), compose(number)) for number in range(count)]
    began, busy = time.monotonic(), time.process_time()
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname="localhost") as client:
        for recipient, content in messages:
            await client.sendmail("bench@example.com", [recipient], content)
    return began, time.process_time() - busy


if __name__ == "__main__":
    print(json.dumps(asyncio.run(send(int(sys.argv[1]), int(sys.argv[2])))))
