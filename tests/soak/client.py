"""The client: submits orders from a few threads, each under an Idempotency-Key, until it gets a 202."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from uuid import UUID

import httpx2

from tests.soak.orders import Order
from tests.soak.plan import Plan

_REQUEST_SECONDS = 15.0
_PAUSE_SECONDS = 0.25
_ROOM_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Accepted:
    """Is a job that was answered with 202; `sent_at` is when its request was first sent, in seconds of the epoch."""

    job_id: UUID
    kind: str
    sent_at: float


@dataclass
class Answers:
    """Collects what the clients got."""

    accepted: list[Accepted] = field(default_factory=list[Accepted])
    refused: list[str] = field(default_factory=list[str])
    by_status: Counter[str] = field(default_factory=Counter[str])
    replayed: int = 0
    longest_seconds: float = 0.0


class Clients:
    """Submit all orders; a request that fails or gets a 5xx is sent again under the same key until it is answered.

    They keep the plan's pace; `room` is set while they may go on, and `stop` ends them early.
    """

    def __init__(self, api_url: str, authorization: str, orders: Iterable[Order], plan: Plan) -> None:
        self.answers = Answers()
        self.room = threading.Event()
        self.room.set()
        self.stop = threading.Event()
        self._api_url = api_url
        self._headers = {"Authorization": authorization}
        self._plan = plan
        self._orders: queue.SimpleQueue[tuple[int, Order]] = queue.SimpleQueue()
        for numbered in enumerate(orders):
            self._orders.put(numbered)
        self._began = 0.0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start."""
        self._began = time.monotonic()
        names = [f"client {number}" for number in range(self._plan.clients)]
        self._threads = [threading.Thread(target=self._submit_all, name=name) for name in names]
        for thread in self._threads:
            thread.start()

    @property
    def are_done(self) -> bool:
        """Whether every order was answered."""
        return not any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait for the clients' end."""
        for thread in self._threads:
            thread.join()

    def _submit_all(self) -> None:
        with httpx2.Client(
            base_url=self._api_url, headers=self._headers, timeout=_REQUEST_SECONDS, trust_env=False
        ) as http:
            while not self.stop.is_set():
                if not self.room.wait(_ROOM_SECONDS):
                    continue
                try:
                    number, order = self._orders.get_nowait()
                except queue.Empty:
                    return
                due = self._began + number / self._plan.jobs_per_second
                self.stop.wait(max(0.0, due - time.monotonic()))
                self._submit(http, f"soak-{self._plan.seed}-{number}", order)

    def _submit(self, http: httpx2.Client, key: str, order: Order) -> None:
        sent_at, began = time.time(), time.monotonic()
        while not self.stop.is_set():
            answer = self._try(http, key, order)
            if answer is None or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self.stop.wait(_PAUSE_SECONDS)
                continue
            with self._lock:
                self._note(order, sent_at, answer)
                self.answers.longest_seconds = max(self.answers.longest_seconds, time.monotonic() - began)
            return

    def _try(self, http: httpx2.Client, key: str, order: Order) -> httpx2.Response | None:
        try:
            answer = http.post(order.path, json=order.body, headers={"Idempotency-Key": key})
        except httpx2.TransportError as error:
            said, answer = type(error).__name__, None
        else:
            said = str(answer.status_code)
        with self._lock:
            self.answers.by_status[said] += 1
        return answer

    def _note(self, order: Order, sent_at: float, answer: httpx2.Response) -> None:
        if answer.status_code != HTTPStatus.ACCEPTED:
            self.answers.refused.append(f"{order.kind}: {answer.status_code} {answer.text[:200]}")
            return
        made = answer.json()
        job_id = UUID(made["job_id"] if order.kind == "mail.send" else made["id"])
        self.answers.accepted.append(Accepted(job_id, order.kind, sent_at))
        self.answers.replayed += "idempotency-replayed" in answer.headers
