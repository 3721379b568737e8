"""A cap on the memory of a child: who wants more gets an error, instead of the machine losing a child."""

import logging
import resource
import sys

logger = logging.getLogger(__name__)


def cap_memory(most_bytes: int) -> None:
    """Let this process have so many bytes of writable memory of its own and no more; 0 is no limit.

    Beyond it an allocation fails, and Python raises `MemoryError`. Only Linux counts all such memory (RLIMIT_DATA
    covers private writable mappings since 4.7); elsewhere the log says that there is no cap. What this process starts
    inherits it.
    """
    if most_bytes == 0:
        return
    if not sys.platform.startswith("linux"):
        logger.warning("this system cannot cap the memory of a process; bad input may take all there is")
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
