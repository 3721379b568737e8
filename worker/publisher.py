"""Putting dispatched jobs on Celery's queues, and asking how many messages wait there."""

import logging
import socket
from typing import Any

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.messaging import Producer

from worker.dispatching import Dispatch

logger = logging.getLogger(__name__)

BrokerAway = (OperationalError, OSError)
"""What any call to the broker may raise; the caller backs off."""


URGENT, ORDINARY = 0, 9
"""Redis keeps a list for each; workers take from the urgent one first."""
_ORIGIN = f"dispatcher@{socket.gethostname()}"
_NOT_FOUND = "404"
_TRANSPORT_OPTIONS = {"socket_timeout": 0.5}
"""A worker may wait longer for a reply than a dispatcher, which has other queues to look after."""


class Publisher:
    """Keeps one connection to the broker; every call fails within about a second when it does not answer."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def publish(self, dispatch: Dispatch) -> None:
        """Send the hint that a job may be claimed; raises one of `BrokerAway`."""
        try:
            self._send(dispatch)
        except Exception as error:
            self.close()
            raise _as_broker_away(error) from error

    def _send(self, dispatch: Dispatch) -> None:
        # send_task() would also look the route up, declare the queue, send signals: three times the cost, each time.
        task_id = f"{dispatch.job_id}:{dispatch.dispatch_seq}"
        args = (str(dispatch.job_id), dispatch.dispatch_seq)
        message: Any = self._app.amqp.as_task_v2(
            task_id, dispatch.kind, args=args, argsrepr=str(args), kwargsrepr="{}", origin=_ORIGIN, ignore_result=True
        )
        # The nameless exchange needs no binding, so a Redis that lost everything routes as before.
        self._open_producer().publish(
            message.body,
            exchange="",
            routing_key=dispatch.queue,
            priority=URGENT if dispatch.urgent else ORDINARY,
            serializer="json",
            headers=message.headers,
            retry=False,
            **message.properties,
        )

    def count_messages(self, queue: str) -> int:
        """Count the messages that wait in a queue; raises one of `BrokerAway`."""
        try:
            channel = self._open_producer().channel
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except Exception as error:
            # To kombu a queue that is empty or was wiped does not exist.
            if str(getattr(error, "reply_code", "")) == _NOT_FOUND:
                return 0
            self.close()
            raise _as_broker_away(error) from error

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            try:
                connection.close()
            except Exception as error:  # noqa: BLE001 - it is being thrown away
                logger.debug("closing the broker connection: %s", error)

    def _open_producer(self) -> Producer:
        if self._producer is None:
            self._connection = self._app.connection_for_write(transport_options=_TRANSPORT_OPTIONS)
            self._producer = Producer(self._connection, auto_declare=False)
        return self._producer


def _as_broker_away(error: Exception) -> Exception:
    return error if isinstance(error, BrokerAway) else OperationalError(f"{type(error).__name__}: {error}")
