"""Networks that the harness trains: a registry of names, and definitions that no zoo has."""
