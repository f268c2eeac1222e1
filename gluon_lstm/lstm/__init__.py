"""The LSTM: its 14 arrays, the cell gate by gate, faster implementations, and the float64 reference."""
