"""The option ``--device``, which several commands have. Not here: what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.embedder import DEVICES

if TYPE_CHECKING:
    import argparse


def add_device_to(parser: argparse.ArgumentParser) -> None:
    """Add the option to a parser."""
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="cpu",
        help="where the embedder runs; cuda takes the extra cuda, auto is cuda where that works",
    )
