"""What a release needs, each as a function that returns what is missing.

Not here: the order in which they run, and the command (release/check.py).
"""
