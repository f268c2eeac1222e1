#!/usr/bin/env bash
# All checks: ruff, mypy and the tests, in .venv, which is created if needed. Arguments are passed to pytest, which runs
# the tests in parallel on all cores. PYTHON=/path/to/python3.12 selects the Python.
set -eu
# shellcheck source-path=SCRIPTDIR source=_venv.sh
. "$(dirname "$0")/_venv.sh"

ensure_venv "[test]" 265

cd "$root"
"$venv/bin/python" -m ruff check --quiet .
"$venv/bin/python" -m mypy
"$venv/bin/python" -m pytest -n auto --dist worksteal "$@" </dev/null
