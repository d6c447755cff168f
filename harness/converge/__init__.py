"""`converge`: CIFAR-10 trained on stock and patched MXNet, on one curve."""
