"""The engine of a Ray cluster: Ray Data places the calls, repeats lost ones, and keeps the order.

Not here: a scheduler, a transport or repetitions of our own. docs/scale.md has what Ray is told,
starts and writes.
"""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hypernova.errors import MissingExtraError, WorkerError
from hypernova.parallel.pickled import SharedArguments, answer
from hypernova.parallel.threads import thread_variables
from hypernova.paths import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from functools import partial

# Ray repeats a call this often if its process or node is lost; Ray Data would go on for ever with
# a call that ends its process each time.
_MAX_RETRIES = 3
# Where a node is short of memory, Ray ends processes by itself, and by default repeats their calls
# for ever: a command would wait without a word.
_OUT_OF_MEMORY_RETRIES = "RAY_task_oom_retries"
# Bytes of the longest path below Ray's folder, a socket's, and of the longest that Linux takes.
_SOCKET_BYTES, _MAX_SOCKET_BYTES = 64, 107
_REMOVALS = 30
_CONNECT_S = 5.0


def import_ray() -> Any:
    """Import Ray, with its usage statistics off.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    # Ray reads these when it is imported, so before anything else here. An empty one counts as set.
    if not os.environ.get("RAY_USAGE_STATS_ENABLED"):
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault(_OUT_OF_MEMORY_RETRIES, str(_MAX_RETRIES))
    if "ray" not in sys.modules and not os.environ.get("RAY_ADDRESS"):
        # Despite its name: a Ray of this machine alone listens at the loopback address alone.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        if not any(name.startswith("RAY_AUTH_") for name in os.environ):
            # By itself Ray asks for a token too, and keeps it in a file of the home.
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError(
            f'the engine "ray" needs Ray ({error}): pip install "hypernova-router[ray]"'
        ) from error
    return ray


def calls_on_ray(
    calls: Iterable[partial[Any]],
    jobs: int | None,
    shared: Sequence[Any],
    threads: int,
    tick: Callable[[int], None],
) -> Iterator[Any]:
    """Make calls on Ray, and yield the results in the order of the calls.

    The cluster is the one that the program has connected to, or that of ``RAY_ADDRESS``, or one
    that is started on this machine and ended here.

    Args:
        calls: As of `map_calls`; they are all read, pickled, and sent once to each node.
        jobs: Number of calls at a time; None leaves it to Ray.
        shared: As of `map_calls`.
        threads: Threads of a call's libraries, and CPUs that Ray sets aside for it.
        tick: Takes the number of calls that were just answered.

    Raises:
        MissingExtraError: Ray is not installed.
        WorkerError: The cluster cannot be reached, is lost, or cannot make the calls.
        Exception: The exception of the first call that fails.
    """
    ray = import_ray()
    arguments = SharedArguments(shared)
    messages = [arguments.pickled(call) for call in calls]
    if not messages:
        return
    with _quiet(), _cluster(ray, jobs, threads) as environment:
        sent = ray.put((arguments.values, messages))
        dataset = _dataset(ray, sent, len(messages), jobs, threads, environment)
        with closing(_answers(ray, dataset)) as answers:
            waiting: dict[int, bytes] = {}
            following = 0
            for i, message in answers:
                tick(1)
                waiting[i] = message
                while following in waiting:
                    done, result = pickle.loads(waiting.pop(following))  # noqa: S301 - of our job
                    if not done:
                        raise result
                    following += 1
                    yield result
                    del result
        if following < len(messages):
            raise WorkerError(f"Ray answered {following} of {len(messages)} calls; run it again")


def _dataset(
    ray: Any,
    sent: Any,
    n_calls: int,
    jobs: int | None,
    threads: int,
    environment: dict[str, Any] | None,
) -> Any:
    """Describe the map to Ray Data: a task of its own for each call, results in their order."""
    context = ray.data.DataContext.get_current()
    options = context.execution_options
    before = context.enable_progress_bars, options.preserve_order
    context.enable_progress_bars, options.preserve_order = False, True
    try:
        # A dataset keeps the context in which it is made. ``max_retries`` goes with Ray 2.64.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
            return ray.data.range(n_calls, override_num_blocks=n_calls).map_batches(
                _answer_batch,
                batch_size=None,
                batch_format="pyarrow",
                # Within a list: Ray would replace a bare reference by the object for every task.
                fn_kwargs={"sent": [sent]},
                compute=ray.data.TaskPoolStrategy(size=jobs),
                num_cpus=threads,
                max_retries=_MAX_RETRIES,
                runtime_env=environment,
            )
    finally:
        context.enable_progress_bars, options.preserve_order = before


def _answer_batch(batch: Any, sent: list[Any]) -> Any:
    """Make the calls of a batch, in a process of Ray."""
    import pyarrow as pa

    shared, messages = _received(sent[0])
    numbers = batch.column("id").to_pylist()
    answers = pa.array([answer(messages[i], shared) for i in numbers], pa.large_binary())
    return pa.table({"id": batch.column("id"), "answer": answers})


@lru_cache(maxsize=1)
def _received(sent: Any) -> tuple[Any, list[bytes]]:
    """Unpickle the shared arguments once in each process of Ray."""
    import ray

    values, messages = ray.get(sent)
    return pickle.loads(values), messages  # noqa: S301 - of the program that sent the calls


def _answers(ray: Any, dataset: Any) -> Generator[tuple[int, bytes]]:
    """Yield the number and the answer of each call, as Ray Data delivers them."""
    blocks = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    while True:
        try:
            block = next(blocks, None)
        except (ray.exceptions.RayError, OSError, RuntimeError) as error:
            raise WorkerError(
                f"Ray could not make the calls ({_first_line(error)}); its logs say more, and "
                "docs/scale.md has what each node needs"
            ) from None
        if block is None:
            return
        for i, message in zip(block.column("id"), block.column("answer"), strict=True):
            yield i.as_py(), message.as_buffer()


def _first_line(error: BaseException) -> str:
    """Name the cause of an error of Ray, without the traces that Ray's messages hold."""
    while (cause := getattr(error, "cause", None)) is not None:
        error = cause
    lines = str(error).strip().splitlines()
    return escaped(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


@contextmanager
def _cluster(ray: Any, jobs: int | None, threads: int) -> Iterator[dict[str, Any] | None]:
    """Use the cluster that there is, or start one, and end what was started.

    Yields:
        The environment that Ray is to give the processes of calls, if it starts others for them:
        processes of a Ray that is started here have it from the beginning.
    """
    environment: dict[str, Any] | None = {"env_vars": thread_variables(threads)}
    if ray.is_initialized():
        yield environment
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    with ExitStack() as stack:
        address = os.environ.get("RAY_ADDRESS")
        if not address:
            options |= {"include_dashboard": False, "num_cpus": jobs}
            options["_temp_dir"] = stack.enter_context(_folder())
            stack.enter_context(_environment(thread_variables(threads)))
            environment = None
            stack.enter_context(_replaced(ray._private.node.Node, "start_api_server"))
        stack.callback(ray.shutdown)  # before the folder goes
        try:
            if address:
                _check_listening(address)
            with _signal_handlers_kept():
                ray.init(address=address or "local", **options)
        except Exception as error:
            raise WorkerError(_not_there(address, _first_line(error))) from None
        # Notices of lost processes, which would stand among the results on standard output.
        stack.enter_context(_replaced(ray._private.worker, "print_to_stdstream"))
        yield environment


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables that processes inherit which are started while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ |= variables
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _replaced(owner: Any, name: str) -> Iterator[None]:
    """Let a function of Ray that cannot be switched off do nothing.

    The API server asks the addresses at which clouds describe a machine, with usage statistics
    off as well, and has no part in the calls. Both functions are private: the tests on a Ray of
    each new version show whether they are still what they were.
    """
    before = getattr(owner, name)
    setattr(owner, name, lambda *_, **__: None)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _check_listening(address: str) -> None:
    """Try a ``host:port`` once: Ray itself tries an address in vain for minutes, and prints it."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()


def _not_there(address: str | None, cause: str) -> str:
    if address:
        return (
            f"the Ray cluster at RAY_ADDRESS={escaped(address)} cannot be reached ({cause}); check "
            "the address, and run the command on a node of the cluster"
        )
    return f"Ray cannot be started ({cause}); see docs/scale.md, or use the engine local"


@contextmanager
def _folder() -> Iterator[str]:
    """Make the folder of a Ray that is started here, and remove it."""
    place = tempfile.gettempdir()
    name = "hypernova-ray-"
    if len(os.fsencode(place)) + len(name) + 10 + _SOCKET_BYTES > _MAX_SOCKET_BYTES:
        place = "/tmp"  # noqa: S108 - mkdtemp makes a folder of this user alone in it
    folder = tempfile.mkdtemp(prefix=name, dir=place)
    try:
        yield folder
    finally:
        # Processes of Ray that are about to end may write in it.
        for _ in range(_REMOVALS):
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.lexists(folder):
                break
            time.sleep(0.1)


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Put back the handler of SIGTERM that Ray replaces when it starts, in C as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray Data's own lines off standard error: what fails is raised."""
    logger = logging.getLogger("ray.data")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
