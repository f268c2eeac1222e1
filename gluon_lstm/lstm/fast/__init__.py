"""The fast path: the numbers of `scratch`, on packed matrices, on all cores."""
