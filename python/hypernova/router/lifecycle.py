"""Keep a router's artifact in use: warmed up, replaced while requests run, observed, pickled.

Not here: decisions (see ``router``), and one artifact with its embedder (see ``serving``).
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hypernova._core import DEBUG_BUILD, Artifact
from hypernova.errors import HypernovaError, NovelPromptError, PolicyError, UnpicklingError
from hypernova.events import DecisionEvent, Observers, ReloadEvent, logger, notify
from hypernova.forked import ForkSafeLock
from hypernova.router.pickling import shared_serving, subclass_attributes
from hypernova.router.shadow import takes_vectors_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor
    from types import TracebackType

    from hypernova.embedder import CacheInfo, TextEmbedder
    from hypernova.router.serving import Serving
    from hypernova.router.watch import Watch

if DEBUG_BUILD:
    warnings.warn(
        "hypernova's core is a debug build, many times slower than a release build; "
        "build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )

# Threads that embed for `aroute`: with one for each core the event loop has to wait for its own.
ASYNC_THREADS = max(1, min(8, (os.cpu_count() or 1) - 1))
# Not blank, and of tokens that every embedder knows.
WARM_UP_TEXT = "Fix the race in the scheduler"
# Of a pickled state, those that `shared_serving` takes by name.
_OPTIONS = ("threads", "device", "cache", "mmap", "shadow")


class RouterLifecycle:
    """The state of a `Router`, from opening to closing. Safe to share among threads."""

    def _begin(self, serving: Serving, given: TextEmbedder | None) -> None:
        """Set every attribute; each is either in `__getstate__` or begins anew in a copy."""
        self._given = given
        self._reload_lock = ForkSafeLock()  # one reload at a time; held while files are read
        self._lock = ForkSafeLock()  # guards `_pool`; held briefly, so safe on an event loop
        self._watch: Watch | None = None
        # Threads of `aroute`, with the id of their process: a fork leaves them behind.
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self._observers = Observers()
        self._serve(serving)

    def _serve(self, serving: Serving) -> None:
        # A request reads this one reference once, so that it never sees parts of two artifacts.
        self._serving = serving

    @property
    def artifact(self) -> Artifact:
        """The artifact in use; `reload` replaces it."""
        return self._serving.artifact

    @property
    def shadow(self) -> Artifact | None:
        """The artifact that decides beside the one in use, for the log; None without one."""
        return self._serving.shadow

    @property
    def embedder(self) -> TextEmbedder:
        """The artifact's embedder, with the cache if there is one; loaded when first read.

        Raises:
            EmbedderMismatchError: The artifact routes vectors only, or was fitted with
                an embedder that is not bundled.
        """
        return self._serving.embedder

    def cache_info(self) -> CacheInfo | None:
        """Return hits, misses and size of the cache; None if there is no cache."""
        from hypernova.embedder import CachedEmbedder, CacheInfo, SkipSharedEmbedder

        loaded = self._serving.loaded
        if isinstance(loaded, SkipSharedEmbedder):
            loaded = loaded.embedder  # a given embedder may have a cache of its own
        if isinstance(loaded, CachedEmbedder):
            return loaded.cache_info()
        size = self._serving.cache
        return None if size is None else CacheInfo(0, 0, size, 0)

    def reload(self, path: str | os.PathLike[str] | None = None) -> Artifact:
        """Take another artifact's file, or the same path's new file, while requests run.

        The new file is opened and checked, and its embedder loaded if the old one's was, or
        else its files checked, before anything changes. A request that has begun ends with the
        artifact that it began with; each `Decision` keeps its own. The old file, if it was mapped,
        is unmapped when the last of them is gone. A file that cannot be taken is refused, and the
        old artifact stays in use. Both are logged under ``hypernova``. A shadow stays.

        Args:
            path: A ``.hnv`` file; by default the path of the artifact in use.

        Returns:
            The artifact that decides from now on.

        Raises:
            ValueError: ``path`` is left out, and the artifact was opened from no file.
            NotFoundError: There is no such file.
            ArtifactError: The file is not a valid artifact.
            EmbedderMismatchError: Its embedder is neither the one given nor a bundled one, or
                the present artifact takes vectors alone, and this one takes others.
            EmbedderError: Its embedder is bundled, and a file of it is missing or damaged.

        Example:
            >>> import hypernova
            >>> from hypernova.router import BUNDLED_ARTIFACT
            >>> router = hypernova.Router.open()
            >>> router.reload(BUNDLED_ARTIFACT) is router.artifact
            True
        """

        def open_artifact() -> Artifact:
            file = self._serving.artifact.path if path is None else path
            if file is None:
                raise ValueError("reload takes a path: the artifact was opened from no file")
            return self._open_artifact(Path(file))

        return self._take(open_artifact)

    def _open_artifact(self, path: Path) -> Artifact:
        return Artifact.open(path, mmap=self._serving.mmap)

    def _take(self, open_artifact: Callable[[], Artifact]) -> Artifact:
        try:
            with self._reload_lock:
                old = self._serving
                artifact = open_artifact()
                self._serve(old.with_artifact(artifact, self._given))
                logger().info(
                    "reloaded %s: %.12s for %.12s",
                    *(artifact.path, artifact.sha256, old.artifact.sha256),
                )
                if old.shadow is not None and not takes_vectors_of(artifact, old.shadow):
                    logger().warning(
                        "the shadow %.12s has another embedder than %.12s and cannot decide",
                        *(old.shadow.sha256, artifact.sha256),
                    )
        except HypernovaError as error:
            self._refuse(error)
            raise
        notify(self._observers.on_reload, ReloadEvent(artifact.sha256, None))
        return artifact

    def _refuse(self, error: HypernovaError) -> None:
        # As text: a record that is kept would keep the error's frames, and the old file.
        reason = str(error)
        logger().warning("not reloaded, going on with %.12s: %s", self.artifact.sha256, reason)
        notify(self._observers.on_reload, ReloadEvent(self.artifact.sha256, reason))

    def observe(
        self,
        on_decision: Callable[[DecisionEvent], None] | None = None,
        *,
        on_reload: Callable[[ReloadEvent], None] | None = None,
    ) -> Callable[[], None]:
        """Call functions with each decision from text, timed, and with each reload.

        A callback runs in the thread that decided or reloaded, before the caller has its
        answer: it should be quick. An exception of a callback is logged, and the decision stands.
        Decisions from vectors, with `decide` and `decide_many`, are not observed.

        Args:
            on_decision: Called with a `DecisionEvent` when `route`, `aroute` or `route_many` has
                decided.
            on_reload: Called with a `ReloadEvent` when a new artifact was taken or refused.

        Returns:
            A function that ends the calls.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> events = []
            >>> end = router.observe(events.append)
            >>> decision = router.route("Fix the race in the scheduler")
            >>> events[0].decisions[0] is decision, events[0].embed_s > events[0].decide_s
            (True, True)
            >>> end()
        """
        return self._observers.add(on_decision, on_reload)

    def warm_up(self) -> None:
        """Load the embedder and route once, so that the first request costs what others do.

        The embedder embeds a short text, which no cache keeps; a `CallableEmbedder` calls its
        function once. A router without an embedder, of vectors only, decides for a vector.
        Observers receive no event. In a program that forks workers, call it before the fork:
        the workers share the embedder's memory.

        Raises:
            EmbedderError: The embedder's folder is damaged, or its vector is wrong.
            MissingExtraError: The embedder needs the extra ``onnx``, which is not installed, or
                ``device`` is ``"cuda"``, and onnxruntime has none.
            DeviceError: ``device`` is ``"cuda"``, and it cannot be used here.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> router.warm_up()
        """
        serving = self._serving
        if serving.reads_text:
            embedder = serving.embedder._innermost()
            lookup = None if serving.shadow is not None else embedder._lookup()
            if lookup is not None:
                with suppress(PolicyError, NovelPromptError):
                    lookup.route(serving.artifact, WARM_UP_TEXT)
                return
            vector = embedder.embed_one(WARM_UP_TEXT)
        else:
            import numpy as np

            vector = np.zeros(serving.artifact.dim, dtype=np.float32)
        # The artifact's own limits may leave no model for this vector.
        with suppress(HypernovaError):
            serving.decide(vector)

    def _async_threads(self) -> ThreadPoolExecutor:
        process, pool = os.getpid(), self._pool
        if pool is None or pool[0] != process:
            from concurrent.futures import ThreadPoolExecutor

            with self._lock:
                pool = self._pool
                if pool is None or pool[0] != process:
                    pool = process, ThreadPoolExecutor(ASYNC_THREADS, "hypernova-aroute")
                    self._pool = pool
        return pool[1]

    def close(self) -> None:
        """Stop watching, and end the threads of `aroute`; requests are still answered."""
        if self._watch is not None:
            self._watch.stop()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and pool[0] == os.getpid():
            pool[1].shutdown(wait=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, without observers, cached vectors and watch."""
        serving = self._serving
        return {
            "artifact": serving.artifact,
            "embedder": self._given,
            "threads": serving.threads,
            "device": serving.device,
            "cache": serving.cache,
            "mmap": serving.mmap,
            "shadow": serving.shadow,
            "added": subclass_attributes(self),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Share the embedder of an unpickled router that is alike, or load it when needed."""
        try:
            artifact, given, added = (state[key] for key in ("artifact", "embedder", "added"))
            options = {key: state[key] for key in _OPTIONS}
            self._begin(shared_serving(artifact, given, **options), given)
            self._set_all(added)
        except (KeyError, TypeError, AttributeError) as error:
            raise UnpicklingError(
                f"not what a pickled router holds: {type(error).__name__}: {error}; pickle it "
                "again, with this version of hypernova"
            ) from error

    def __copy__(self) -> Self:
        return self._copied(subclass_attributes(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from copy import deepcopy

        return self._copied(deepcopy(subclass_attributes(self), memo))

    def _copied(self, added: dict[str, Any]) -> Self:
        new = type(self).__new__(type(self))
        new._begin(self._serving, self._given)
        new._set_all(added)
        return new

    def _set_all(self, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        return f"<hypernova.Router: {self.artifact!r}>"
