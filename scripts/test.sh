#!/usr/bin/env bash
# Every check there is: ruff, mypy and all tests, in a .venv that is made if need be. Arguments go to pytest, which
# runs the files of tests side by side on all cores.
# PYTHON=/path/to/python3.12 chooses the Python.
set -eu
# shellcheck source-path=SCRIPTDIR source=_venv.sh
. "$(dirname "$0")/_venv.sh"

ensure_venv "[test]" 265

cd "$root"
"$venv/bin/python" -m ruff check --quiet .
"$venv/bin/python" -m mypy
"$venv/bin/python" -m pytest -n auto --dist loadfile "$@" </dev/null
