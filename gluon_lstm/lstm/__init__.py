"""The mathematics: the 14 arrays, the cell gate by gate, and the float64 reference it is checked against."""
