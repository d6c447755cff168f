"""The verify command: evidence that the cache changes no result.

``plan`` lists the checks and ``command`` runs them. ``operators``, ``bitwise``, ``mxnet_debug``,
``shadow``, ``faults`` and ``mxnet_tests`` each make one kind; ``record`` and ``table`` hold and
show their findings. Nothing here imports mxnet.
"""
