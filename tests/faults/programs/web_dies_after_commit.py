"""Serves the API, but takes its own process away in the instant between a commit and its answer."""

import os
import signal

from api.nudger import Nudger
from api.serving import main


def die(self: Nudger) -> None:
    """Do this in place of the nudge, which is the step after each commit of a job."""
    del self
    os.kill(os.getpid(), signal.SIGKILL)


Nudger.nudge = die
main()
