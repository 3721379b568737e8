"""Readers of server-sent events, many at a time, that come back where they were cut off, as browsers do."""

import asyncio
import itertools
import json

import httpx2

from tests.faults.crowds.crowd import Client


class Reader(Client):
    """Follows its job by server-sent events, with `Last-Event-ID` whenever it comes back."""

    async def follow(self, first: asyncio.Barrier, halfway: asyncio.Event) -> None:
        """Follow the job to its end."""
        async with httpx2.AsyncClient(timeout=None, trust_env=False) as http:
            for port in itertools.cycle(self.ports):
                url = f"http://127.0.0.1:{port}/v1/jobs/{self.job_id}/events"
                known = {"Last-Event-ID": str(self.versions[-1])} if self.versions else {}
                try:
                    async with http.stream("GET", url, headers=self.owner.headers | known) as answer:
                        assert answer.status_code == 200
                        self.connections += 1
                        await self._read(answer, first, halfway)
                except httpx2.HTTPError:
                    continue
                if self.job is not None:
                    return

    async def _read(self, answer: httpx2.Response, first: asyncio.Barrier, halfway: asyncio.Event) -> None:
        begins = self.connections == 1
        async for line in answer.aiter_lines():
            if not line.startswith("data: "):
                continue
            job = json.loads(line.removeprefix("data: "))
            # Never a version twice, and never an older one, on whichever connection.
            assert not self.versions or job["version"] > self.versions[-1]
            self.versions.append(job["version"])
            if begins:
                begins = False
                await first.wait()
            if (job["progress"]["completed"] or 0) >= 5:
                halfway.set()
            if job["done"]:
                self.job = job
