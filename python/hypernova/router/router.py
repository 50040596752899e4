"""Route text, conversations and vectors.

Not here: the decision, which the core makes; the artifact with its embedder (see ``serving``); and
reloading, observing and pickling (see ``lifecycle``).
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from hypernova._core import Artifact, Decision, Decisions
from hypernova.embedder.onnx.runtime import Device, check_device
from hypernova.embedder.resolve import open_embedder
from hypernova.embedder.text.checks import check_is_sequence
from hypernova.events import Stopwatch, notify
from hypernova.progress import progress_bar
from hypernova.router.called import called, raise_as_called
from hypernova.router.conversation import embed_turns, prompt_turns
from hypernova.router.lengths import with_length, with_lengths
from hypernova.router.lifecycle import RouterLifecycle
from hypernova.router.serving import Serving
from hypernova.router.shadow import check_shadow, opened_shadow
from hypernova.router.watch import Watch, file_state, watch_interval

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hypernova.embedder.base import TextEmbedder
    from hypernova.parallel import Engine
    from hypernova.route_options import BatchRouteOptions, RouteOptions
    from hypernova.router.explanation import Explanation
    from hypernova.router.routed import RoutedTable

BUNDLED_ARTIFACT = Path(__file__).parent.parent / "bundled" / "default.hnv"


class Router(RouterLifecycle):
    """Decide which model should answer a prompt. Safe to share among threads; pickles.

    The embedder is loaded with the first text, or by `warm_up`, or when `embedder` is first
    read. A router that is given vectors only never loads it.

    Args:
        artifact: Of `hypernova.fit`, or `Artifact.open`.
        embedder: Name of a bundled embedder, a folder, or an open embedder (`Embedder`,
            `CallableEmbedder`); by default the bundled one that the artifact was fitted
            with.
        threads: Number of threads that embed one text.
        device: Device that the embedder is loaded on, ``"cpu"``, ``"cuda"`` or ``"auto"``, as in
            `Embedder.load`. An open embedder has its own.
        cache: Number of texts whose vectors are kept, the most recently used ones
            (`CachedEmbedder`); by default none.
        mmap: How the embedder's model file is opened, as in `Embedder.load`, and how `reload` opens
            a file.
        shadow: An artifact of the same embedder that decides beside the first, for the log: each
            decision has it as ``decision.shadow``. It changes no answer.

    Raises:
        EmbedderMismatchError: The embedder is not the artifact's, or the shadow has another one.
        NotFoundError: There is no such embedder.
        EmbedderError: The embedder's folder is damaged.
        MissingExtraError: The embedder needs the extra ``onnx``, which is not installed, or
            ``device`` is ``"cuda"``, and onnxruntime has none. Like the next, raised when the
            embedder is loaded.
        DeviceError: ``device`` is ``"cuda"``, and it cannot be used here.
        ValueError: ``device`` is unknown, or given for an open embedder; or ``cache`` is no
            whole number from 1, or given for an embedder that has a cache; or ``threads`` is less
            than 1.
        TypeError: ``threads`` is no whole number, or ``artifact`` or ``shadow`` no artifact.

    Example:
        >>> import hypernova
        >>> with hypernova.Router.open() as router:  # closed at the end of the block
        ...     router.warm_up()
        ...     decision = router.route("Fix the race in the scheduler")
        >>> decision.model in router.artifact.models
        True
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        embedder: str | os.PathLike[str] | TextEmbedder | None = None,
        threads: int = 1,
        device: Device = "cpu",
        cache: int | None = None,
        mmap: bool | Literal["auto"] = "auto",
        shadow: Artifact | None = None,
    ) -> None:
        check_device(device)
        if shadow is not None:
            check_shadow(artifact, shadow)
        opened = None
        if embedder is not None:
            opened = open_embedder(embedder, device=device, threads=threads, mmap=mmap)
        serving = Serving(
            artifact, opened, threads=threads, device=device, cache=cache, mmap=mmap, shadow=shadow
        )
        self._begin(serving, opened)

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
        shadow: Artifact | str | os.PathLike[str] | None = None,
    ) -> Self:
        """Open an artifact.

        The file is validated whole. A file of up to 4 MiB is read into memory, and later changes
        of it have no effect; a larger one is mapped, and must not be written to or cut
        meanwhile. Replace it by renaming another over it, as `Artifact.save` does.

        Args:
            path: A ``.hnv`` file; by default the bundled artifact, fitted on
                SWE-bench Verified.
            embedder: As in `Router`.
            threads: As in `Router`.
            device: As in `Router`.
            cache: As in `Router`.
            watch: True, or a number of seconds: look at the file every second, or as often as
                given, and `reload` it when it was replaced. A thread does it until `close`; a
                process that forks opens its router after that. A file that is written in place
                is taken once it is whole.
            mmap: As in `Artifact.open`, also for the files that `reload` opens, and for the
                embedder's model file.
            shadow: An artifact, or a ``.hnv`` file, that decides beside the first, as in `Router`.
                A file is read once: neither ``watch`` nor `reload` replaces it.

        Raises:
            ValueError: ``watch`` is no positive number, or ``path`` is left out with it, or
                ``mmap`` is a str other than ``"auto"``.
            NotFoundError: There is no such file.
            ArtifactError: The file is not a valid artifact.
            EmbedderMismatchError: As in `Router`, like all that it raises.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open(cache=10_000)
            >>> for _ in range(3):
            ...     decision = router.route("Fix the race in the scheduler")
            >>> router.cache_info()
            CacheInfo(hits=2, misses=1, maxsize=10000, currsize=1)
        """
        interval_s = watch_interval(watch, path)
        file = BUNDLED_ARTIFACT if path is None else Path(path)
        # Read before the file is: a replacement in between is then taken, not missed.
        state = file_state(file) if interval_s else None
        artifact = Artifact.open(file, mmap=mmap)
        # Left out by default: a subclass may have a constructor of its own.
        given: Any = {} if mmap == "auto" else {"mmap": mmap}
        if shadow is not None:
            given["shadow"] = opened_shadow(shadow, mmap)
        router = cls(
            artifact, embedder=embedder, threads=threads, device=device, cache=cache, **given
        )
        if interval_s:
            router._watch = Watch(router, file, interval_s, state)
        return router

    def route(
        self,
        text: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **options: Unpack[RouteOptions],
    ) -> Decision:
        """Decide which model should answer a prompt, or go on with a conversation.

        A router keeps no state between calls: ``previous_model`` names the model that a
        conversation is with.

        Args:
            text: The prompt; a long one is cut by the embedder's stated rule.
            messages: A conversation, instead of ``text``. Its first and its last user turn are
                read, each as a prompt of its own, and count alike; see `turns_of`.
            **options: See `RouteOptions`.

        Returns:
            The decision: ``model``, ``ranking``, ``cluster``, ``distance``, ``novelty`` and
            ``reason``; ``id``, ``artifact`` and ``propensity`` for a log; and
            ``after_failure``, which returns the decision without a model that failed.

        Raises:
            TypeError: Neither or both of ``text`` and ``messages`` are given.
            TextError: The text is empty, or no turn that is read holds a token.
            MessagesError: The messages are malformed, or no user's turn holds text.
            UnknownModelError: An option names a model that the artifact does not hold.
            NoCandidateError: The limits leave no model.
            NovelPromptError: The prompt is novel, and ``on_novel`` is ``"error"``.
            PolicyError: An option is out of range.
            EmbedderMismatchError: As in `embedder`.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> decision = router.route("Fix the race in the scheduler")
            >>> decision.after_failure(decision.model).model == decision.ranking[1].model
            True
        """
        try:  # until it raises it costs nothing, unlike `called`
            if messages is not None or text is None:
                turns = prompt_turns(text, messages)
                return self._route_turns(turns, with_length(options, messages or ()))
            serving = self._serving
            if options:
                options = with_length(options, text)
            if self._observers.on_decision:
                stopwatch = Stopwatch()
                vector = serving.embedder.embed_one(text)
                stopwatch.embedded()
                decision = serving.decide(vector, **options)
                notify(self._observers.on_decision, stopwatch.decided((decision,)))
                return decision
            lookup = serving.lookup or serving.load_lookup()
            if lookup is not None:
                return lookup.route(serving.artifact, text, **options)
            return serving.decide(serving.embedder.embed_one(text), **options)
        except TypeError as error:
            raise_as_called(error, "route")

    def _route_turns(self, turns: tuple[str, ...], options: RouteOptions) -> Decision:
        serving = self._serving
        lookup = None if self._observers.on_decision else serving.load_lookup()
        if lookup is not None:
            if len(turns) == 1:
                return lookup.route(serving.artifact, turns[0], **options)
            return lookup.route_turns(serving.artifact, *turns, **options)
        stopwatch = Stopwatch()
        vector = embed_turns(serving.embedder, turns)
        stopwatch.embedded()
        decision = serving.decide(vector, **options)
        if self._observers.on_decision:
            notify(self._observers.on_decision, stopwatch.decided((decision,)))
        return decision

    async def aroute(
        self,
        text: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **options: Unpack[RouteOptions],
    ) -> Decision:
        """Decide as `route` does, without keeping the event loop waiting.

        An embedder that the core runs, such as ``static``, answers on the loop, in microseconds;
        other tasks have a turn after each call. For another embedder, threads of the router's own
        embed, one less than there are cores and at most 8; more requests wait in line. Loading the
        embedder takes up to some tenths of a second, in such a thread, which may hold the
        interpreter: call `warm_up` before the loop starts.

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

        with called("aroute"):
            if self._serving.is_quick:
                decision = self.route(text, messages=messages, **options)
                await asyncio.sleep(0)  # so that a loop of calls does not keep other tasks waiting
                return decision
            call = partial(self.route, text, messages=messages, **options)
            if self._observers.on_decision:
                # A span's parent is in the caller's context, which a thread does not have.
                call = partial(copy_context().run, call)
            return await asyncio.get_running_loop().run_in_executor(self._async_threads(), call)

    def route_many(
        self, texts: Sequence[str], *, progress: bool = False, **options: Unpack[BatchRouteOptions]
    ) -> list[Decision]:
        """Decide for each of many prompts.

        Args:
            texts: The prompts; they are embedded in batches of similar length.
            progress: Show a bar on standard error if it takes longer than a second.
            **options: See `BatchRouteOptions`.

        Returns:
            The decisions, in the order of ``texts``.

        Raises:
            TypeError: ``texts`` is one str, or no sequence.
            TextError: A text is empty; the message has its index.
            MissingExtraError: ``progress``, and the extra ``train`` is not installed.
            UnknownModelError: As in `route`, like all that follows.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> len(router.route_many(["Fix the race in the scheduler", "Sort a list"]))
            2
        """
        check_is_sequence(texts, "route")
        if not len(texts):
            return []
        serving = self._serving
        embedder = serving.embedder
        if serving.lookup is not None and not (progress or self._observers.on_decision):
            options = with_lengths(options, texts) if options else options
            with called("route_many"):
                return serving.lookup.route_many(
                    serving.artifact, texts, threads=serving.threads, **options
                )
        stopwatch = Stopwatch()
        with progress_bar(len(texts), f"embedding with {embedder.name}", progress) as tick:
            vectors = embedder.embed(texts, progress=tick)
        stopwatch.embedded()
        options = with_lengths(options, texts)
        with called("route_many"):
            decisions = serving.decide_each(vectors, options)
        notify(self._observers.on_decision, stopwatch.decided(tuple(decisions)))
        return decisions

    def route_table(
        self,
        prompts: str | os.PathLike[str],
        decisions: str | os.PathLike[str],
        *,
        engine: Engine = "local",
        jobs: int | None = None,
        progress: bool = False,
        **options: Unpack[RouteOptions],
    ) -> RoutedTable:
        r"""Decide for each prompt of a table in files, and write the decisions as a Parquet file.

        Prompts are read, decided and written in pieces, so that memory does not grow with the
        table. Row n of the decisions answers row n of the prompts.

        Args:
            prompts: A file with a column or key ``prompt``, and at will ``task_id``: Parquet, CSV
                or JSON Lines; a text file with a prompt a line; a folder of Parquet files, or one
                with ``tasks.parquet``; or a pattern, such as ``"prompts/*.parquet"``. For an
                artifact that routes vectors only, the column ``embedding`` is read instead.
            decisions: The ``.parquet`` file to write; one that stands there is replaced whole.
            engine: Where pieces are decided: ``"local"``, in this process or in processes of this
                machine, or ``"ray"``, on a Ray cluster. The decisions do not depend on it.
            jobs: Number of pieces decided at a time, in processes of their own if more than 1. By
                default as many as this process may use cores, in threads of it where the core
                embeds, as ``static``, or vectors are read, and else in processes; or all of the Ray
                cluster. With observers, and with an embedder that does not pickle, the default is
                1; observers are called with 1 alone.
            progress: Show a bar on standard error if it takes longer than a second.
            **options: See `RouteOptions`.

        Returns:
            The counts. A prompt that is blank or null, that no model is left for, or that is novel
            under ``on_novel="error"`` has a row with no model and the reason in ``error``.

        Raises:
            NotFoundError: Nothing is at ``prompts``, or the folder of ``decisions`` does not exist.
            TableError: A file of prompts is malformed; the message names the file and the row.
            WriteError: ``decisions`` is no ``.parquet`` file, is one of the prompts' files, or
                cannot be written.
            MissingExtraError: The extra ``train`` is not installed.
            EmbedderMismatchError: As in `embedder`.
            UnknownModelError: As in `route`, like the next.
            PolicyError: An option is out of range, or there are observers and pieces are to be
                decided in other processes.
            WorkerError: Something else ended one of the processes, or the Ray cluster was lost.

        Example:
            >>> import hypernova
            >>> with open("prompts.csv", "w") as file:
            ...     print("prompt", "Fix the race in the scheduler", '""', sep="\n", file=file)
            >>> routed = hypernova.Router.open().route_table("prompts.csv", "decisions.parquet")
            >>> routed.n_prompts, routed.n_errors
            (2, 1)
        """
        from hypernova.router.table import route_table

        with called("route_table"):
            return route_table(
                self, prompts, decisions, options, engine=engine, jobs=jobs, progress=progress
            )

    def explain(
        self,
        text: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **options: Unpack[RouteOptions],
    ) -> Explanation:
        """Decide as `route` does, and return the grounds of the decision.

        It takes several times as long as `route`, and observers receive no event.

        Args:
            text: As in `route`.
            messages: As in `route`.
            **options: See `RouteOptions`.

        Returns:
            The characters that were read and those that were cut, the nearest clusters with their
            words, and each model's estimate in its parts; ``print`` it, or take ``to_dict()``.

        Raises:
            TypeError: As in `route`, like all that it raises.

        Example:
            >>> import hypernova
            >>> explanation = hypernova.Router.open().explain("Fix the race in the scheduler")
            >>> explanation.decision.model == explanation.estimates[0].model
            True
            >>> explanation.texts[0].cut
            ()
        """
        from hypernova.router.explanation import explained

        turns = prompt_turns(text, messages)
        options = with_length(options, messages or turns[0])
        with called("explain"):
            return explained(self._serving.artifact, self._serving.embedder, turns, options)

    def decide(self, vector: NDArray[np.float32], **options: Unpack[RouteOptions]) -> Decision:
        """Decide for one vector.

        Args:
            vector: float32 (dim,), contiguous and finite, made by the artifact's embedder.
            **options: See `RouteOptions`.

        Raises:
            VectorError: Dtype, shape, strides or a value are wrong.
            UnknownModelError: As in `route`, like the next two.
            NoCandidateError: The limits leave no model.
            PolicyError: An option is out of range.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> vector = router.embedder.embed_one("Fix the race in the scheduler")
            >>> router.decide(vector).model == router.route("Fix the race in the scheduler").model
            True
        """
        with called("decide"):
            return self._serving.decide(vector, **options)

    def _serve(self, serving: Serving) -> None:
        super()._serve(serving)
        if type(self).decide is Router.decide:
            # The method of the core in place of ours, which only calls it: a call of
            # Python's costs a fifth of a whole decision.
            self.decide = serving.decide  # type: ignore[method-assign]

    def decide_many(
        self, matrix: NDArray[np.float32], **options: Unpack[BatchRouteOptions]
    ) -> Decisions:
        """Decide for each row of a matrix.

        Args:
            matrix: float32 (n, dim), C-contiguous and finite.
            **options: See `BatchRouteOptions`.

        Returns:
            Columns: ``model_indices`` into ``models``, ``clusters``, ``distances``,
            ``novelties``, and ``reason_codes`` into ``reasons``, as read-only arrays
            (n,); an index gives a single `Decision`. Columns hold no decisions of a shadow.

        Raises:
            VectorError: As in `decide`, with the row.
            UnknownModelError: As in `decide`, like the next two.
            NoCandidateError: The limits leave no model for some row, which is named.
            PolicyError: An option is out of range.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> matrix = router.embedder.embed(["Fix the race in the scheduler", "Sort a list"])
            >>> router.decide_many(matrix).model_indices.shape
            (2,)
        """
        with called("decide_many"):
            return self._serving.artifact.decide_many(matrix, **options)
