"""Messages through whole systems: Jobyard's ways, the guide's, and the limit of a kept connection.

A round: one after the other, each is asked for so many messages; the clock stops when the last has reached the sink.
CPU is that of all programs and services until it is written down that all are sent; the sink's is apart.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ops.leash import Leash
from ops.paths import ROOT
from tests.bench.beside_guide import say
from tests.bench.figures import Figure, Samples
from tests.bench.load import LoadGenerator
from tests.bench.mail_sides import GuideMail, JobyardMail
from tests.bench.mail_sink_side import MailSink
from tests.bench.memory import PeakMemory
from tests.bench.orders import Storm
from tests.bench.plan import Plan
from tests.bench.programs import inherited_environment
from tests.bench.report import Part

GUIDE, LIMIT, SUBJECT = "guide", "kept connection", "jobyard"
_ONE_BY_ONE, _BATCHED, _MAILING = "a request each", "batches (the guide: lists)", "one mailing (the guide: lists)"
_SECTIONS = (_ONE_BY_ONE, _BATCHED, _MAILING)
_TARGET = "target ≥ 5, ≥ 0.5"
_WARM_UP = 100


@dataclass
class _Bench:
    plan: Plan
    sink: MailSink
    load: LoadGenerator
    guide: GuideMail
    jobyard: JobyardMail
    samples: dict[str, Samples]

    def measure_system(
        self, sections: tuple[str, ...], contender: GuideMail | JobyardMail, make: Callable[[int], Storm]
    ) -> None:
        """Ask for messages and see them arrive."""
        count = self.plan.mail_messages
        storm, finished = make(count), contender.count_finished()
        self.sink.reset()
        before, began = contender.cpu_by_part(), time.monotonic()
        self.load.carry_out(storm)
        seconds = self.sink.wait_messages(count, began, lambda: _require_alive(contender))
        contender.wait_finished(finished + count)
        spent = {part: cpu - before[part] for part, cpu in contender.cpu_by_part().items()}
        for section in sections:
            self._add(section, contender.name, count / seconds, spent, count)

    def measure_limit(self) -> None:
        """Send the same messages over one connection."""
        count = self.plan.mail_messages
        self.sink.reset()
        began, cpu = _send_kept(self.sink.port, count)
        seconds = self.sink.wait_messages(count, began, lambda: None)
        for section in _SECTIONS:
            self._add(section, LIMIT, count / seconds, {"worker": cpu}, count)

    def warm_up(self) -> None:
        """Let every child send some messages."""
        for contender, storm in (
            (self.guide, self.guide.notifications(_WARM_UP, 1)),
            (self.jobyard, self.jobyard.emails(_WARM_UP)),
        ):
            finished = contender.count_finished()
            self.load.carry_out(storm)
            contender.wait_finished(finished + _WARM_UP)

    def _add(self, section: str, who: str, rate: float, spent: dict[str, float], count: int) -> None:
        samples = self.samples[section]
        samples.add(who, f"{section}: messages/s", rate, "/s", _TARGET)
        samples.add(who, "CPU per message, without the sink", sum(spent.values()) / count * 1e6, "µs")
        for part in ("web", "dispatcher", "worker", "postgres", "redis"):
            samples.declare(f"  of it {part}", "µs")
            if part in spent:
                samples.add(who, f"  of it {part}", spent[part] / count * 1e6, "µs")


def measure_mail(directory: Path, plan: Plan) -> Part:
    """Send in each way by turns, then watch the memory of mailings."""
    samples = {section: Samples(section) for section in _SECTIONS}
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        sink = stack.enter_context(MailSink())
        guide = GuideMail(directory / "guide", plan, leash, stack, sink)
        jobyard = JobyardMail(directory / "jobyard", plan, leash, stack, sink)
        load = stack.enter_context(LoadGenerator())
        for contender in (guide, jobyard):
            contender.start_front()
            contender.sign_in()
            contender.start_behind()
        jobyard.put_template()
        bench = _Bench(plan, sink, load, guide, jobyard, samples)
        bench.warm_up()
        for number in range(plan.mail_rounds):
            say(f"mail: round {number + 1} of {plan.mail_rounds}")
            _measure_round(bench)
        say("mail: memory")
        figures: list[Figure] = [figure for each in samples.values() for figure in each.figures()]
        figures += _measure_memory(bench)
        notes = [
            f"{plan.mail_messages:,} messages of 2 kB; batches and lists of {plan.mail_batch}; by turns, medians",
            "kept connection: aiosmtplib sends messages made before, and keeps no account of them",
            f"the sink needed {sink.busiest:.0%} of a core at most, the load generator {load.busiest:.0%}",
        ]
    title = "Mail, from the request to the mail server"
    return Part(title=title, figures=figures, rivals=[GUIDE, LIMIT], notes=notes)


def _measure_round(bench: _Bench) -> None:
    guide, jobyard, size = bench.guide, bench.jobyard, bench.plan.mail_batch
    bench.measure_limit()
    bench.measure_system((_ONE_BY_ONE,), guide, lambda count: guide.notifications(count, 1))
    bench.measure_system((_ONE_BY_ONE,), jobyard, jobyard.emails)
    bench.measure_system((_BATCHED, _MAILING), guide, lambda count: guide.notifications(count, size))
    bench.measure_system((_BATCHED,), jobyard, lambda count: jobyard.batches(count, size))
    bench.measure_system((_MAILING,), jobyard, jobyard.mailing)


def _measure_memory(bench: _Bench) -> list[Figure]:
    """See how far memory grows beyond that of programs which have just sent a small mailing."""
    samples, jobyard = Samples("memory, at most beyond that after a small mailing"), bench.jobyard
    for count in bench.plan.mail_recipients:
        jobyard.stop()
        jobyard.start_front()
        jobyard.start_behind()
        _send_mailing(bench, _WARM_UP)
        web = PeakMemory(jobyard.running_front().pid)
        children = [PeakMemory(pid) for pid in jobyard.worker_children()]
        _send_mailing(bench, count)
        for name, grown in (("web", [web.growth()]), ("a worker's child", [child.growth() for child in children])):
            known = [megabytes for megabytes in grown if megabytes is not None]
            if known:
                samples.add(SUBJECT, f"{count:,} recipients: {name}", max(known), "MB")
    return samples.figures()


def _send_mailing(bench: _Bench, count: int) -> None:
    finished = bench.jobyard.count_finished()
    bench.sink.reset()
    began = time.monotonic()
    bench.load.carry_out(bench.jobyard.mailing(count))
    bench.sink.wait_messages(count, began, lambda: _require_alive(bench.jobyard))
    bench.jobyard.wait_finished(finished + count)


def _send_kept(port: int, count: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "tests.bench.mail_kept", str(port), str(count)]
    environment = inherited_environment()
    ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    began, cpu = json.loads(ended.stdout)
    return began, cpu


def _require_alive(contender: GuideMail | JobyardMail) -> None:
    for program in contender.behind.values():
        program.require_alive()
