"""An LSTM language model of Japanese posts whose fourteen parameters can be read one by one."""

__version__ = "0.1.0"
