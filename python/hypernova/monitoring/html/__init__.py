"""Placeholder."""


def render(report):
    return ""
