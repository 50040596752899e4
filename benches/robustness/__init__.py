"""Measure how many decisions one line in a prompt changes, and how far a line can steer them.

- ``lines``: lines that say nothing of a task, lines that name a kind of task, and formatting
- ``measure``: routers fitted without the prompts that they are asked about, and what they decide
- ``steering``: a search for the line that sends most prompts to one model
"""
