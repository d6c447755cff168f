"""A benchmark record seen as ratios, memory or time per operator."""
