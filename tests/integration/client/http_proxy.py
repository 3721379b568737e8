"""A proxy that does to chosen requests what networks and other proxies do."""

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.faults.proxies.tcp_proxy import LineCut, Link, Proxy

Fault = Literal["refuse", "lose", "swallow", "cut_request", "cut_answer"]
_FIRST_LINE = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE|HEAD) /v1/\S* HTTP/1\.1\r\n")
"""Of a request, also where it comes together with the end of the one before."""


@dataclass
class Rule:
    """Says what happens to the next requests that begin so.

    `refuse` answers in the server's place. `lose` lets the server do it, and cuts the line when it answers. `swallow`
    keeps the answer back, as a proxy does that buffers. The cuts come after so many bytes.
    """

    begins: str
    fault: Fault
    times: int
    after: int = 0
    answer: bytes = b""
    hits: int = 0
    hit: threading.Event = field(default_factory=threading.Event)


class HttpProxy(Proxy):
    """Passes on what no rule is for."""

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self._rules: list[Rule] = []
        self.requests: list[str] = []

    def on(
        self, begins: str, fault: Fault, *, times: int = 1, after: int = 0, status: str = "503 Away", more: str = ""
    ) -> Rule:
        """Add a rule for requests whose first line begins so."""
        answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n".encode()
        rule = Rule(begins, fault, times, after, answer)
        self._rules.append(rule)
        return rule

    def count(self, begins: str) -> int:
        """Count the requests that began so."""
        return sum(line.startswith(begins) for line in self.requests)

    def make_link(self, client: socket.socket, server: socket.socket | None) -> Link:
        """Make the link of a connection."""
        return _HttpLink(client, server, self._take)

    def _take(self, line: str) -> Rule | None:
        self.requests.append(line)
        for rule in self._rules:
            if rule.hits < rule.times and line.startswith(rule.begins):
                rule.hits += 1
                return rule
        return None


class _HttpLink(Link):
    def __init__(self, client: socket.socket, server: socket.socket | None, take: Callable[[str], Rule | None]) -> None:
        super().__init__(client, server)
        self._take = take
        self._rule: Rule | None = None
        self._requested = 0
        self._answered = 0

    def see_request(self, chunk: bytes) -> bytes:
        """Do what the rule of a request says."""
        for line in _FIRST_LINE.findall(chunk):
            self._rule = self._take(line.decode())
            self._requested = self._answered = 0
        rule = self._rule
        if rule is None:
            return chunk
        if rule.fault == "refuse":
            self._client.sendall(rule.answer)
            self._cut(rule)
        self._requested += len(chunk)
        if rule.fault == "cut_request" and self._requested > rule.after:
            self._cut(rule)
        return chunk

    def see_answer(self, chunk: bytes) -> bytes:
        """Do what the rule of the request before says."""
        rule = self._rule
        if rule is None:
            return chunk
        if rule.fault == "lose":
            self._cut(rule)
        if rule.fault == "swallow":
            rule.hit.set()
            return b""
        self._answered += len(chunk)
        if rule.fault == "cut_answer" and self._answered > rule.after:
            self._cut(rule)
        return chunk

    def _cut(self, rule: Rule) -> None:
        rule.hit.set()
        raise LineCut
