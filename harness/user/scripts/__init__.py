"""Programs that doctor runs in another interpreter, Python 2.7 to 3.13."""
