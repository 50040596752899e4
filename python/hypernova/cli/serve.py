"""`hypernova serve`: decide over HTTP."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.device import add_device_to
from hypernova.errors import HypernovaError, NotFoundError

if TYPE_CHECKING:
    from hypernova.cli import Commands

TOKEN_VARIABLE = "HYPERNOVA_TOKEN"  # noqa: S105 - the name of a variable


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="decide over HTTP (extra server)",
        epilog=f"A token may also come from the variable {TOKEN_VARIABLE}. "
        "SIGHUP opens the artifact's file again; SIGTERM ends.",
    )
    parser.add_argument(
        "-a", "--artifact", metavar="ROUTER.hnv", help="by default the bundled artifact"
    )
    parser.add_argument("--embedder", metavar="DIR", help="if the artifact's is not bundled")
    add_device_to(parser)
    parser.add_argument("--host", default="127.0.0.1", help="by default this machine alone")
    parser.add_argument("--port", type=port_number, default=8484, help="0 for a free one")
    parser.add_argument("--watch", action="store_true", help="take a new artifact file by itself")
    parser.add_argument("--log", metavar="FOLDER", help="where decisions and outcomes are written")
    parser.add_argument(
        "--token-file", metavar="FILE", help="holds the token that callers must send"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="that embed and decide")
    limits = parser.add_argument_group("limits")
    for name, kind, default, metavar, text in (
        ("timeout", seconds, "10", "S", "for a body to arrive, and then for its answer"),
        ("head-timeout", seconds, "10", "S", "for the head of a request to arrive"),
        ("idle-timeout", seconds, "60", "S", "between the requests of a connection"),
        ("max-body-bytes", positive, "4194304", "N", "of a request"),
        ("max-head-bytes", positive, "16384", "N", "of a request"),
        ("max-batch", positive, "1024", "N", "texts of a batch"),
        ("max-in-flight", positive, "256", "N", "requests that are worked on or wait"),
        ("max-connections", positive, "512", "N", "that are open"),
    ):
        limits.add_argument(
            f"--{name}", type=kind, default=default, metavar=metavar, help=f"{text} ({default})"
        )
    parser.set_defaults(run=_serve)


def positive(text: str) -> int:
    """Read a whole number from 1, for a parser."""
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")


def port_number(text: str) -> int:
    """Read a port, for a parser."""
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, got {text!r}")


def seconds(text: str) -> float:
    """Read a time above 0, for a parser."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if 0.0 < found <= 3600.0:
        return found
    raise argparse.ArgumentTypeError(f"expected seconds, above 0 and up to 3600, got {text!r}")


def _token(arguments: argparse.Namespace) -> str | None:
    # Not an argument: the arguments of a process are there for all to read.
    file = arguments.token_file
    if file is None:
        return os.environ.get(TOKEN_VARIABLE)
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise NotFoundError(f"{file}: there is no such token file") from None
    except OSError as error:
        raise HypernovaError(f"{file}: cannot read the token file: {error.strerror}") from None
    except ValueError:
        raise HypernovaError(
            f"{file}: the token file is not UTF-8 text: write printable ASCII into it"
        ) from None


def _serve(arguments: argparse.Namespace) -> None:
    from hypernova.integrations.server import Limits, create_app, is_token, serve

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="hypernova: %(levelname)s: %(message)s"
    )
    # Its warnings are of clients' malformed requests: a line for each is a way to fill a disk.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    if arguments.watch and arguments.artifact is None:
        raise HypernovaError("--watch takes --artifact: the bundled one is not replaced")
    token = _token(arguments)
    if token is not None and not is_token(token):
        raise HypernovaError("the token is empty or not printable ASCII: set another one")
    limits = Limits(
        max_body_bytes=arguments.max_body_bytes,
        max_batch=arguments.max_batch,
        max_in_flight=arguments.max_in_flight,
        timeout_s=arguments.timeout,
        max_head_bytes=arguments.max_head_bytes,
        max_connections=arguments.max_connections,
        head_timeout_s=arguments.head_timeout,
        idle_timeout_s=arguments.idle_timeout,
        **({} if arguments.threads is None else {"threads": arguments.threads}),
    )
    router = hypernova.Router.open(
        arguments.artifact,
        embedder=arguments.embedder,
        device=arguments.device,
        watch=arguments.watch,
    )
    log = None if arguments.log is None else hypernova.OutcomeLog(arguments.log)
    app = create_app(router, log=log, limits=limits, token=token)
    try:
        serve(app, router, host=arguments.host, port=arguments.port)
    finally:
        router.close()
        if log is not None:
            log.close()
