"""Route text, conversations and vectors with an artifact, which may be replaced meanwhile.

Not here: the embedder that belongs to an artifact (see ``serving``), and any decision.
"""

from __future__ import annotations

import logging
import os
import threading
from contextvars import copy_context
from copy import deepcopy
from functools import partial
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from hypernova._core import Artifact, Decision, Decisions
from hypernova.embedder import (
    CachedEmbedder,
    CacheInfo,
    SkipSharedEmbedder,
    TextEmbedder,
    open_embedder,
)
from hypernova.embedder.cache import check_size
from hypernova.embedder.onnx.device import Device, check_device
from hypernova.errors import HypernovaError, UnpicklingError
from hypernova.events import Begun, Observed, Reloaded, tell
from hypernova.progress import bar
from hypernova.router.conversation import embed_turns, turns_of
from hypernova.router.explanation import Explanation, explanation_of, read_by
from hypernova.router.serving import Serving, serving_of_pickle
from hypernova.router.watch import Watch, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from numpy.typing import NDArray

    from hypernova.router.options import RouteOptions

BUNDLED_ARTIFACT = Path(__file__).parent.parent / "bundled" / "default.hnv"
# Seconds between two looks at a watched file.
WATCH_EVERY_S = 1.0
# Threads that embed for `aroute`: with one for each core the event loop has to wait for its own.
ASYNC_THREADS = max(1, min(8, (os.cpu_count() or 1) - 1))

_log = logging.getLogger("hypernova")


class Router:
    """Decide which model should answer a prompt. Safe to share among threads; pickles.

    The embedder is loaded when the first text comes, or when `embedder` is first
    read: do that at start-up to spare the first request. A router that is given
    vectors only never loads it.

    Args:
        artifact: Of `hypernova.fit`, or `Artifact.open`.
        embedder: Name of a bundled embedder, a folder, or an open embedder (`Embedder`,
            `CallableEmbedder`); by default the bundled one that the artifact was fitted
            with.
        threads: Threads that embed one text.
        device: Where the embedder is loaded, ``"cpu"``, ``"cuda"`` or ``"auto"``, as in
            `Embedder.load`. An open embedder has its own.
        cache: Keep the vectors of so many texts, those used last (`CachedEmbedder`); by
            default none.

    Raises:
        EmbedderMismatchError: The embedder is not the artifact's.
        NotFoundError: There is no such embedder.
        EmbedderError: The embedder's folder is damaged.
        MissingExtraError: ``device`` is ``"cuda"``, and onnxruntime has none. Like the next,
            raised when the embedder is loaded.
        DeviceError: ``device`` is ``"cuda"``, and it cannot be used here.
        ValueError: ``device`` is unknown, or given for an open embedder; or ``cache`` is no
            whole number from 1, or given for an embedder that has a cache.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        embedder: str | os.PathLike[str] | TextEmbedder | None = None,
        threads: int = 1,
        device: Device = "cpu",
        cache: int | None = None,
    ) -> None:
        check_device(device)
        if cache is not None:
            check_size(cache)
        opened = None
        if embedder is not None:
            opened = open_embedder(embedder, device=device, threads=threads)
        self._begin(Serving(artifact, opened, threads=threads, device=device, cache=cache), opened)

    def _begin(
        self,
        serving: Serving,
        given: TextEmbedder | None,
        mmap: bool | Literal["auto"] = "auto",
    ) -> None:
        """Set every attribute; what is added here is either in `__getstate__` or begun anew."""
        # All that a request sees hangs on this one reference, which `reload` replaces: a
        # request reads it once, so that it never sees parts of two.
        self._serving = serving
        self._given = given
        self._mmap: bool | Literal["auto"] = mmap  # how `reload` opens a file
        self._reloading = threading.Lock()  # one at a time; held while files are read
        self._lock = threading.Lock()  # of what follows; held for moments, so a loop may wait
        self._watch: Watch | None = None
        # Of `aroute`, and the process whose threads they are: a fork leaves them behind.
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        # Replaced, never changed: a request that runs goes on with those it began with.
        self._on_decision: tuple[Callable[[Observed], None], ...] = ()
        self._on_reload: tuple[Callable[[Reloaded], None], ...] = ()
        self._is_plain = type(self).decide is Router.decide
        self._serve(self._serving)

    def _serve(self, serving: Serving) -> None:
        self._serving = serving
        if self._is_plain:
            # The method of the core in place of ours, which only calls it: a call of
            # Python's costs a fifth of a whole decision.
            self.decide = serving.artifact.decide  # type: ignore[method-assign]

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        embedder: str | os.PathLike[str] | TextEmbedder | None = None,
        threads: int = 1,
        device: Device = "cpu",
        cache: int | None = None,
        watch: bool | float = False,
        mmap: bool | Literal["auto"] = "auto",
    ) -> Router:
        """Open an artifact.

        The file is validated whole. A file of up to 4 MiB is read into memory, and what is
        done to it later changes nothing; a larger one is mapped, and must not be written to
        or cut meanwhile. Replace it by renaming another over it, as `Artifact.save` does.

        Args:
            path: A ``.hnv`` file; by default the bundled artifact, fitted on
                SWE-bench Verified.
            embedder: As in `Router`.
            threads: As in `Router`.
            device: As in `Router`.
            cache: As in `Router`.
            watch: Look at the file from time to time, and `reload` when it was replaced: every
                second, or every so many seconds. A thread does it until `close`; a process
                that forks opens its router after that. A file that is written in place is
                taken once it is whole.
            mmap: As in `Artifact.open`; what `reload` opens is treated the same.

        Raises:
            ValueError: ``watch`` is no positive number, or ``path`` is left out with it, or
                ``mmap`` is a str other than ``"auto"``.
            NotFoundError: There is no such file.
            ArtifactError: It is not a valid artifact.
            EmbedderMismatchError: As in `Router`, like all that it raises.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open(cache=10_000)
            >>> for _ in range(3):
            ...     decision = router.route("Fix the race in the scheduler")
            >>> router.cache_info()
            CacheInfo(hits=2, misses=1, maxsize=10000, currsize=1)
        """
        if watch and path is None:
            raise ValueError("watch takes a path: the bundled artifact is not replaced")
        if not (isinstance(watch, Real) and 0 <= watch < float("inf")):
            raise ValueError(f"watch is {watch!r}, expected True or seconds above 0")
        every_s = WATCH_EVERY_S if watch is True else float(watch)
        file = BUNDLED_ARTIFACT if path is None else Path(path)
        # Looked at before it is read: what replaces it in between is then taken, not missed.
        seen = state_of(file) if every_s else None
        artifact = Artifact.open(file, mmap=mmap)
        router = cls(artifact, embedder=embedder, threads=threads, device=device, cache=cache)
        router._mmap = mmap
        if every_s:
            router._watch = Watch(router, file, every_s, seen)
        return router

    def reload(self, path: str | os.PathLike[str] | None = None) -> Artifact:
        """Take another artifact's file, or the same path's new file, while requests run.

        The new file is opened and checked, and its embedder loaded if the old one's was, or
        else looked at, before anything changes. A request that has begun ends with the artifact
        that it began with; each `Decision` keeps its own. The old file, if it was mapped, is
        unmapped when the last of them is gone. What cannot be taken is refused, and the old
        artifact goes on. Either is logged as ``hypernova``.

        Args:
            path: A ``.hnv`` file; by default where the present artifact was opened from.

        Returns:
            The artifact that decides from now on.

        Raises:
            ValueError: ``path`` is left out, and the artifact was opened from no file.
            NotFoundError: There is no such file.
            ArtifactError: It is not a valid artifact.
            EmbedderMismatchError: Its embedder is neither the one given nor a bundled one, or
                the present artifact takes vectors alone, and this one takes others.
            EmbedderError: Its embedder is bundled, and a file of it is missing or damaged.
        """

        def opened() -> Artifact:
            file = self._serving.artifact.path if path is None else path
            if file is None:
                raise ValueError("reload takes a path: the artifact was opened from no file")
            return Artifact.open(Path(file), mmap=self._mmap)

        return self._take(opened)

    def _take(self, opened: Callable[[], Artifact]) -> Artifact:
        try:
            artifact = self._replace(opened)
        except HypernovaError as error:
            self._refused(error)
            raise
        tell(self._on_reload, Reloaded(artifact.sha256, None))
        return artifact

    def _refused(self, error: HypernovaError) -> None:
        # As text: a record that is kept would keep the error's frames, and the old file.
        said = str(error)
        _log.warning("not reloaded, going on with %.12s: %s", self.artifact.sha256, said)
        tell(self._on_reload, Reloaded(self.artifact.sha256, said))

    def _replace(self, opened: Callable[[], Artifact]) -> Artifact:
        with self._reloading:
            old = self._serving
            artifact = opened()
            self._serve(old.replaced_by(artifact, self._given))
            told = (artifact.path, artifact.sha256, old.artifact.sha256)
            _log.info("reloaded %s: %.12s for %.12s", *told)
            return artifact

    def observe(
        self,
        on_decision: Callable[[Observed], None] | None = None,
        *,
        on_reload: Callable[[Reloaded], None] | None = None,
    ) -> Callable[[], None]:
        """Tell of each decision from text, with what it took, and of each reload.

        A callback runs in the thread that decided or reloaded, before the caller has its
        answer: it should be quick. One that raises is logged, and changes nothing. What is
        decided from vectors, with `decide` and `decide_many`, is not told.

        Args:
            on_decision: Called when `route`, `aroute` or `route_many` has decided.
            on_reload: Called when a new artifact was taken or refused.

        Returns:
            A function that ends it.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> told = []
            >>> end = router.observe(told.append)
            >>> decision = router.route("Fix the race in the scheduler")
            >>> told[0].decisions[0] is decision, told[0].embed_s > told[0].decide_s
            (True, True)
            >>> end()
        """
        with self._lock:
            if on_decision is not None:
                self._on_decision = (*self._on_decision, on_decision)
            if on_reload is not None:
                self._on_reload = (*self._on_reload, on_reload)

        def end() -> None:
            with self._lock:
                self._on_decision = tuple(c for c in self._on_decision if c is not on_decision)
                self._on_reload = tuple(c for c in self._on_reload if c is not on_reload)

        return end

    def close(self) -> None:
        """Stop watching, and end the threads of `aroute`; requests are still answered."""
        if self._watch is not None:
            self._watch.stop()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and pool[0] == os.getpid():
            pool[1].shutdown(wait=False)

    @property
    def artifact(self) -> Artifact:
        """What it decides by now."""
        return self._serving.artifact

    @property
    def embedder(self) -> TextEmbedder:
        """What turns text into vectors; loaded when first read. With the cache, if there is one.

        Raises:
            EmbedderMismatchError: The artifact routes vectors only, or was fitted with
                an embedder that is not bundled.
        """
        return self._serving.embedder

    def cache_info(self) -> CacheInfo | None:
        """Tell hits, misses, and how full the cache is; None if there is no cache."""
        loaded = self._serving.loaded
        if isinstance(loaded, SkipSharedEmbedder):
            loaded = loaded.embedder  # given with a cache: that is within
        if isinstance(loaded, CachedEmbedder):
            return loaded.cache_info()
        size = self._serving.cache
        return None if size is None else CacheInfo(0, 0, size, 0)

    def route(
        self,
        text: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **options: Unpack[RouteOptions],
    ) -> Decision:
        """Decide which model should answer a prompt, or go on with a conversation.

        Nothing is remembered between calls: a conversation says which model it was with
        by ``previous_model``.

        Args:
            text: The prompt; cut by the embedder's stated rule if it is long.
            messages: Instead: a conversation. Its first and its last user turn are read, each
                as a prompt of its own, and count alike; see `turns_of`.
            **options: See `RouteOptions`.

        Returns:
            The decision: ``model``, ``ranking``, ``cluster``, ``distance``, ``novelty`` and
            ``reason``; ``id``, ``artifact`` and ``propensity`` for a log; and
            ``after_failure``, which gives the next model to try.

        Raises:
            TypeError: Neither or both of ``text`` and ``messages`` are given.
            TextError: The text is empty, or no turn that is read holds a token.
            MessagesError: The messages are malformed, or no user's turn holds text.
            UnknownModelError: A wish names a model that the artifact does not hold.
            NoCandidateError: The limits leave no model.
            NovelPromptError: The prompt is novel, and ``on_novel`` is ``"error"``.
            PolicyError: A wish is out of range.
            EmbedderMismatchError: As in `embedder`.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> decision = router.route("Fix the race in the scheduler")
            >>> decision.after_failure(decision.model).model == decision.ranking[1].model
            True
        """
        if messages is not None or text is None:
            return self._route_turns(_turns(text, messages), options)
        serving = self._serving
        if self._on_decision:
            begun = Begun()
            vector = serving.embedder.embed_one(text)
            begun.embedded()
            decision = serving.artifact.decide(vector, **options)
            tell(self._on_decision, begun.decided((decision,)))
            return decision
        return serving.artifact.decide(serving.embedder.embed_one(text), **options)

    def _route_turns(self, turns: tuple[str, ...], options: RouteOptions) -> Decision:
        serving = self._serving
        begun = Begun()
        vector = embed_turns(serving.embedder, turns)
        begun.embedded()
        decision = serving.artifact.decide(vector, **options)
        if self._on_decision:
            tell(self._on_decision, begun.decided((decision,)))
        return decision

    async def aroute(
        self,
        text: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **options: Unpack[RouteOptions],
    ) -> Decision:
        """Decide as `route` does, without keeping the event loop waiting.

        Threads of the router's own embed, one less than there are cores and at most 8; more
        requests wait in line. The first request loads the embedder, which holds the
        interpreter for some tenths of a second: read `embedder` before the loop starts.

        Args:
            text: As in `route`.
            messages: As in `route`.
            **options: See `RouteOptions`.

        Raises:
            TypeError: As in `route`, like all that it raises.

        Example:
            >>> import asyncio, hypernova
            >>> router = hypernova.Router.open()
            >>> decision = asyncio.run(router.aroute("Fix the race in the scheduler"))
            >>> decision.model == router.route("Fix the race in the scheduler").model
            True
        """
        import asyncio  # loaded already where a loop runs

        call = partial(self.route, text, messages=messages, **options)
        if self._on_decision:
            # A span's parent is in the caller's context, which a thread does not have.
            call = partial(copy_context().run, call)
        return await asyncio.get_running_loop().run_in_executor(self._threads_of_async(), call)

    def _threads_of_async(self) -> ThreadPoolExecutor:
        process, pool = os.getpid(), self._pool
        if pool is None or pool[0] != process:
            from concurrent.futures import ThreadPoolExecutor

            with self._lock:
                pool = self._pool
                if pool is None or pool[0] != process:
                    pool = process, ThreadPoolExecutor(ASYNC_THREADS, "hypernova-aroute")
                    self._pool = pool
        return pool[1]

    def route_many(
        self, texts: Sequence[str], *, progress: bool = False, **options: Unpack[RouteOptions]
    ) -> list[Decision]:
        """Decide for each of many prompts.

        Args:
            texts: The prompts; they are embedded in batches of similar length.
            progress: Show a bar on standard error if it takes longer than a second.
            **options: See `RouteOptions`.

        Returns:
            The decisions, in the order of ``texts``.

        Raises:
            TypeError: ``texts`` is one str.
            TextError: A text is empty; the message has its index.
            MissingExtraError: ``progress``, and the extra ``train`` is not installed.
            UnknownModelError: As in `route`, like all that follows.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one str; pass a list of them, or call route")
        if not len(texts):
            return []
        serving = self._serving
        embedder = serving.embedder
        begun = Begun()
        with bar(len(texts), f"embedding with {embedder.name}", progress) as tick:
            vectors = embedder.embed(texts, progress=tick)
        begun.embedded()
        decisions = list(serving.artifact.decide_many(vectors, **options))
        if self._on_decision:
            tell(self._on_decision, begun.decided(tuple(decisions)))
        return decisions

    def explain(
        self,
        text: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **options: Unpack[RouteOptions],
    ) -> Explanation:
        """Decide as `route` does, and say what the decision rests on.

        It takes several times as long, and is not observed.

        Args:
            text: As in `route`.
            messages: As in `route`.
            **options: See `RouteOptions`.

        Returns:
            What was read and what was cut, the nearest clusters with their words, and each
            model's estimate in its parts; ``print`` it, or take ``to_dict()``.

        Raises:
            TypeError: As in `route`, like all that it raises.

        Example:
            >>> import hypernova
            >>> said = hypernova.Router.open().explain("Fix the race in the scheduler")
            >>> said.decision.model == said.estimates[0].model
            True
            >>> said.texts[0].cut
            ()
        """
        turns = _turns(text, messages)
        serving = self._serving
        artifact, embedder = serving.artifact, serving.embedder
        vector = embed_turns(embedder, turns)
        decision = artifact.decide(vector, **options)
        texts = tuple(read_by(embedder, turn) for turn in turns)
        return explanation_of(artifact, decision, texts, artifact.explain(vector, **options))

    def decide(self, vector: NDArray[np.float32], **options: Unpack[RouteOptions]) -> Decision:
        """Decide for one vector.

        Args:
            vector: float32 (dim,), contiguous and finite, made by the artifact's embedder.
            **options: See `RouteOptions`.

        Raises:
            VectorError: Dtype, shape, strides or a value are wrong.
            UnknownModelError: As in `route`, like what follows.
            NoCandidateError: The limits leave no model.
            PolicyError: A wish is out of range.
        """
        return self._serving.artifact.decide(vector, **options)

    def decide_many(
        self, matrix: NDArray[np.float32], **options: Unpack[RouteOptions]
    ) -> Decisions:
        """Decide for each row of a matrix.

        Args:
            matrix: float32 (n, dim), C-contiguous and finite.
            **options: See `RouteOptions`.

        Returns:
            Columns: ``model_indices`` into ``models``, ``clusters``, ``distances``,
            ``novelties``, and ``reason_codes`` into ``reasons``, as read-only arrays
            (n,); an index gives a single `Decision`.

        Raises:
            VectorError: As in `decide`, with the row.
            UnknownModelError: As in `decide`, like what follows.
            NoCandidateError: The limits leave no model for some row, which is named.
            PolicyError: A wish is out of range.
        """
        return self._serving.artifact.decide_many(matrix, **options)

    def __getstate__(self) -> dict[str, Any]:
        """Give what another process needs; observers, kept vectors and the watch stay here."""
        serving = self._serving
        return {
            "artifact": serving.artifact,
            "embedder": self._given,
            "threads": serving.threads,
            "device": serving.device,
            "cache": serving.cache,
            "mmap": self._mmap,
            "added": self._added(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Serve as others do that came with a pickle and are alike."""
        try:
            artifact, given, added = (state[key] for key in ("artifact", "embedder", "added"))
            options = {key: state[key] for key in ("threads", "device", "cache")}
            serving = serving_of_pickle(artifact, given, **options)
            self._begin(serving, given, state["mmap"])
            self._add(added)
        except (KeyError, TypeError, AttributeError) as error:
            raise UnpicklingError(
                f"not what a pickled router holds: {type(error).__name__}: {error}; pickle it "
                "again, with this version of hypernova"
            ) from error

    def __copy__(self) -> Self:
        return self._copied(self._added())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._copied(deepcopy(self._added(), memo))

    def _copied(self, added: dict[str, Any]) -> Self:
        new = type(self).__new__(type(self))
        new._begin(self._serving, self._given, self._mmap)
        new._add(added)
        return new

    def _add(self, added: dict[str, Any]) -> None:
        for name, value in added.items():
            setattr(self, name, value)

    def _added(self) -> dict[str, Any]:
        """The attributes of a subclass, those in slots as well."""
        state: Any = object.__getstate__(self)
        attributes, slots = state if type(state) is tuple else (state, {})
        return {name: v for name, v in {**attributes, **slots}.items() if name not in _OWN}

    def __repr__(self) -> str:
        return f"<hypernova.Router: {self.artifact!r}>"


def _turns(text: str | None, messages: Sequence[Mapping[str, Any]] | None) -> tuple[str, ...]:
    """The texts to read, of a caller who gives either a text or messages."""
    if messages is None:
        if text is None:
            raise TypeError("neither text nor messages= is given: expected one of them")
        return (text,)
    if text is not None:
        raise TypeError("text and messages are both given: expected one of them")
    return turns_of(messages)


# Attributes that `Router._begin` sets.
_OWN = frozenset(
    {
        *("_serving", "_given", "_mmap", "_reloading", "_lock", "_watch", "_pool"),
        *("_on_decision", "_on_reload", "_is_plain", "decide"),
    }
)
