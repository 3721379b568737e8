"""Requests that stay unfinished, which no client library makes."""

import socket

from tests.api_server import Server
from tests.conftest import Owner
from tests.integration.uploads.tus import BODY_TYPE


def open_patch(server: Server, owner: Owner, path: str, offset: int, length: int, checksum: str = "") -> socket.socket:
    """Send the head of a PATCH whose body will have so many bytes."""
    lines = [
        f"PATCH {path} HTTP/1.1",
        "Host: jobyard",
        f"Authorization: {owner.headers['Authorization']}",
        "Tus-Resumable: 1.0.0",
        f"Content-Type: {BODY_TYPE}",
        f"Upload-Offset: {offset}",
        f"Content-Length: {length}",
        "Connection: close",
        *([f"Upload-Checksum: {checksum}"] if checksum else []),
    ]
    connection = server.connect()
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def read_status(connection: socket.socket) -> int:
    """Read the answer to its end; gives its status."""
    answer = b""
    while chunk := connection.recv(65_536):
        answer += chunk
    return int(answer.split(b" ", 2)[1])
