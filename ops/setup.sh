#!/bin/sh
# Finds a Python that fits and hands over to ops/setup.py. Written for any sh: no Python is certain to run here.
set -eu
cd "${0%/*}/.."

fits() {
    # A name on the PATH may be a version manager's shim that fails when it is run.
    "$1" -I -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

for python in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python; do
    if fits "$python"; then
        exec "$python" -I ops/setup.py "$@"
    fi
done
echo "jobyard: no Python 3.11, 3.12 or 3.13 found on the PATH; install one, or name it: make PYTHON=/path/to/python3.11" >&2
exit 1
