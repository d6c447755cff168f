"""The converge command: CIFAR-10 trained on stock and patched MXNet, on one curve."""
