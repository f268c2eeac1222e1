"""The fast path: the loss and gradients of `scratch`, on packed matrices and on all cores (docs/fast.md)."""
