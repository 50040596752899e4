"""`hypernova serve`: decide over HTTP.

Not here: the server (`hypernova.integrations.server`).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.arguments import (
    add_embedder_to,
    port_number,
    positive_int,
    seconds,
    seconds_or_none,
)
from hypernova.errors import HypernovaError, NotFoundError
from hypernova.paths import check_file
from hypernova.signals import signals

if TYPE_CHECKING:
    import argparse

    from hypernova.cli.arguments import Commands

TOKEN_VARIABLE = "HYPERNOVA_TOKEN"  # noqa: S105 - the name of a variable


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        epilog=f"A token may also come from the variable {TOKEN_VARIABLE}. "
        "SIGHUP opens the artifact's file again; SIGTERM ends the server.",
    )
    parser.add_argument(
        "-a", "--artifact", metavar="ROUTER.hnv", help="by default the bundled artifact"
    )
    add_embedder_to(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: this machine alone)"
    )
    parser.add_argument("--port", type=port_number, default=8484, help="0 for a free one (8484)")
    parser.add_argument(
        "--workers", type=positive_int, default=1, metavar="N", help="processes that answer (1)"
    )
    parser.add_argument(
        "--watch", action="store_true", help="reload the artifact when its file is replaced"
    )
    parser.add_argument(
        "--log", metavar="FOLDER", help="outcome log to write decisions and outcomes to"
    )
    parser.add_argument(
        "--sketch",
        action="store_true",
        help="keep 16 coordinates of each prompt's vector in the log, to learn more from it",
    )
    parser.add_argument(
        "--access-log",
        metavar="FILE",
        help="append a line of JSON for each request; - is standard output",
    )
    parser.add_argument(
        "--access-log-text",
        action="store_true",
        help="with the text of prompts, which is left out otherwise",
    )
    parser.add_argument(
        "--shadow",
        metavar="NEW.hnv",
        help="artifact that decides beside the first, for the log and /metrics alone",
    )
    parser.add_argument(
        "--prices",
        metavar="FILE",
        help="prices for requests without any, .json or .toml; read again with the artifact",
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help="file with the token that callers must send"
    )
    parser.add_argument(
        "--page", action="store_true", help="serve a page at / that shows and explains decisions"
    )
    parser.add_argument(
        "--threads", type=positive_int, metavar="N", help="threads that embed and decide"
    )
    limits = parser.add_argument_group("limits")
    for name, kind, default, metavar, text in (
        ("timeout", seconds, "10", "S", "seconds for a body to arrive, and again for its answer"),
        ("head-timeout", seconds, "10", "S", "seconds for the head of a request to arrive"),
        ("idle-timeout", seconds, "60", "S", "seconds between two requests of a connection"),
        (
            "drain",
            seconds_or_none,
            "0",
            "S",
            "seconds from SIGTERM to the end, while /readyz is 503",
        ),
        ("max-body-bytes", positive_int, "4194304", "N", "size of a request's body"),
        ("max-head-bytes", positive_int, "16384", "N", "size of a request's head"),
        ("max-batch", positive_int, "1024", "N", "texts of a batch"),
        ("max-in-flight", positive_int, "256", "N", "requests in work or waiting"),
        ("max-connections", positive_int, "512", "N", "open connections"),
    ):
        limits.add_argument(
            f"--{name}", type=kind, default=default, metavar=metavar, help=f"{text} ({default})"
        )
    parser.set_defaults(run=_serve)


def _token(arguments: argparse.Namespace) -> str | None:
    # Not an argument: every user of a machine can read the arguments of a process.
    file = arguments.token_file
    if file is None:
        return os.environ.get(TOKEN_VARIABLE)
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise NotFoundError(f"{file}: no such token file; check the path") from None
    except OSError as error:
        raise HypernovaError(
            f"{file}: the token file cannot be read ({error.strerror}); check its permissions"
        ) from None
    except ValueError:
        raise HypernovaError(
            f"{file}: the token file is not UTF-8 text; write printable ASCII into it"
        ) from None


def _serve(arguments: argparse.Namespace) -> None:
    from hypernova.integrations.server import AccessLog, Limits, create_app, is_token, serve
    from hypernova.integrations.server.records.access_log import STANDARD_OUTPUT

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="hypernova: %(levelname)s: %(message)s"
    )
    # uvicorn warns of each malformed request of a client: that could fill a disk.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    if arguments.watch and arguments.artifact is None:
        arguments.parser.error("--watch needs --artifact: the bundled artifact is never replaced")
    if arguments.access_log_text and arguments.access_log is None:
        arguments.parser.error("--access-log-text needs --access-log: name the file of the log")
    if arguments.sketch and arguments.log is None:
        arguments.parser.error("--sketch needs --log FOLDER: sketches are kept nowhere else")
    token = _token(arguments)
    if token is not None and not is_token(token):
        raise HypernovaError("the token is empty or not printable ASCII; set another one")
    several = arguments.workers > 1
    threads = arguments.threads
    if threads is None and several:  # the workers share the cores
        threads = max(1, (os.cpu_count() or 1) // arguments.workers)
    limits = Limits(
        max_body_bytes=arguments.max_body_bytes,
        max_batch=arguments.max_batch,
        max_in_flight=arguments.max_in_flight,
        timeout_s=arguments.timeout,
        max_head_bytes=arguments.max_head_bytes,
        max_connections=arguments.max_connections,
        head_timeout_s=arguments.head_timeout,
        idle_timeout_s=arguments.idle_timeout,
        **({} if threads is None else {"threads": threads}),
    )
    access_log = None
    if arguments.access_log is not None:
        if arguments.access_log != STANDARD_OUTPUT:
            inputs = (arguments.artifact, arguments.shadow, arguments.prices, arguments.token_file)
            check_file(arguments.access_log, inputs=inputs, stream=True)
        access_log = AccessLog(arguments.access_log, text=arguments.access_log_text)
        for number in signals(["SIGUSR1"]):  # of many set-ups of logrotate; unhandled, it kills
            signal.signal(number, signal.SIG_IGN)
    router = hypernova.Router.open(
        arguments.artifact,
        embedder=arguments.embedder,
        device=arguments.device,
        shadow=arguments.shadow,
        # Threads do not survive a fork: with several workers, their supervisor watches.
        watch=arguments.watch and not several,
    )
    log = None
    if arguments.log is not None:
        log = hypernova.OutcomeLog(arguments.log, sketch=arguments.sketch)
    if log is not None and not os.access(log.folder, os.W_OK | os.X_OK):
        raise HypernovaError(f"{log.folder}: the log cannot be written; check its permissions")
    app = create_app(
        router,
        log=log,
        limits=limits,
        token=token,
        prices=arguments.prices,
        access_log=access_log,
        page=arguments.page,
    )
    try:
        serve(
            app,
            router,
            host=arguments.host,
            port=arguments.port,
            workers=arguments.workers,
            watch=arguments.watch,
            drain_s=arguments.drain,
        )
    finally:
        router.close()
        if log is not None:
            log.close()
        if access_log is not None:
            access_log.close()
