"""What a soak tells: one page of text, and the same as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.bench.figures import percentile
from tests.soak.run import Outcome

_PART = 10
_PERCENTS = (50, 90, 99, 100)


def describe(outcome: Outcome, command: str) -> str:
    """Write the page."""
    found, answers = outcome.audit, outcome.answers
    faults = ", ".join(f"{name} {count}" for name, count in sorted(outcome.faults.items()))
    statuses = ", ".join(f"{status} {count}" for status, count in sorted(answers.by_status.items()))
    lines = [
        f"soak: {len(answers.accepted)} of {outcome.plan.jobs} jobs accepted, {outcome.seconds:.0f} s in all",
        f"  the rest was done    {outcome.drain_seconds:.1f} s after the faults ended",
        f"  lost                 {len(found.lost)}  (accepted, and not at an end or not there)",
        f"  doubled              {len(found.doubled)}  (more than one recorded success)",
        f"  uninvited            {len(found.uninvited)}  (made by a request that was sent again)",
        f"  failed unexpectedly  {sum(found.failed.values())}{_brackets(found.failed)}",
        f"  outputs gone         {found.outputs_gone}  (named by a result, and not stored)",
        f"  e-mails              {found.mails_missing} missing, {found.mails_again} delivered again after a crash",
        f"  refused requests     {len(answers.refused)}",
        f"  submit to done       {_percentiles(_all(found.latencies))}",
        *(f"    {kind:18} {_percentiles(values)}" for kind, values in sorted(found.latencies.items())),
        f"  answers              {statuses}; {answers.replayed} are replayed first answers",
        f"  longest until a 202  {answers.longest_seconds:.1f} s, requests sent again meanwhile",
        f"  faults               {sum(outcome.faults.values())}: {faults}",
        "  memory in MB         at the start, in the middle, at the end; all its processes, shared pages in each",
        *(f"    {name:16} {_over_time(values)}" for name, values in sorted(outcome.memory.items())),
        *(f"  failure: {text}" for text in (*outcome.failures, *answers.refused[:5])),
        f"  lost jobs: {', '.join(map(str, found.lost[:5]))}" if found.lost else "",
        command,
    ]
    return "\n".join(line for line in lines if line)


def write(outcome: Outcome, command: str, path: Path) -> None:
    """Write the figures as JSON."""
    found = outcome.audit
    report = {
        "command": command,
        "seconds": outcome.seconds,
        "accepted": len(outcome.answers.accepted),
        "lost": [str(job_id) for job_id in found.lost],
        "doubled": [str(job_id) for job_id in found.doubled],
        "uninvited": [str(job_id) for job_id in found.uninvited],
        "failed": dict(found.failed),
        "outputs_gone": found.outputs_gone,
        "mails_missing": found.mails_missing,
        "mails_again": found.mails_again,
        "seconds_submit_to_done": {
            kind: {f"p{percent}": percentile(values, percent) for percent in _PERCENTS}
            for kind, values in found.latencies.items()
        },
        "answers": dict(outcome.answers.by_status),
        "faults": dict(outcome.faults),
        "failures": outcome.failures,
        "memory_megabytes": dict(outcome.memory),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def _brackets(counts: Mapping[str, int]) -> str:
    return f"  {dict(counts)}" if counts else ""


def _all(latencies: Mapping[str, Sequence[float]]) -> list[float]:
    return [seconds for values in latencies.values() for seconds in values]


def _percentiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    return ", ".join(f"p{percent} {percentile(seconds, percent):.2f} s" for percent in _PERCENTS)


def _over_time(values: Sequence[float]) -> str:
    part = max(1, len(values) // _PART)
    middle = len(values) // 2
    thirds = (values[:part], values[middle : middle + part], values[-part:])
    return "  ".join(f"{median(each):7.1f}" for each in thirds)
