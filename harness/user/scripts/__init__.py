"""Programs that the doctor runs in the user's interpreter, Python 2.7 to 3.13."""
