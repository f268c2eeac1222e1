"""``python -m gluon_lstm`` is the command ``gluon-lstm``."""

import sys

from gluon_lstm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
