"""``python scripts/generate.py ...`` is the command ``gluon-lstm generate ...``."""

import sys

from gluon_lstm.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["generate", *sys.argv[1:]]))
