"""``python scripts/train.py ...`` is the command ``gluon-lstm train ...``."""

import sys

from gluon_lstm.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
