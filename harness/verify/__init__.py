"""The verify command: evidence that training with the cache computes what it computes without.

``command`` runs a plan of checks; ``plan`` says which there are; ``operators``, ``debug``,
``bitwise``, ``shadow``, ``faults`` and ``upstream`` each make one kind of them; ``record`` keeps
what they found and ``table`` shows it. Nothing here imports mxnet.
"""
