"""Pickle and copy routers.

Not here: embedders and artifacts, which pickle by themselves. A process pool sends a router again
with every task, so routers that are alike share one loaded embedder and its cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hypernova.router.serving import Serving
from hypernova.unpickled import UnpickledCache

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder

# Attributes that `Router` itself sets; all others are a subclass's.
OWN_ATTRIBUTES = frozenset(
    {
        *("_serving", "_given", "_reload_lock", "_lock", "_watch", "_pool"),
        *("_observers", "decide"),
    }
)


def subclass_attributes(router: object) -> dict[str, Any]:
    """Return the attributes of a subclass of `Router`, those in slots as well."""
    state: Any = object.__getstate__(router)
    attributes, slots = state if type(state) is tuple else (state, {})
    return {
        name: value for name, value in {**attributes, **slots}.items() if name not in OWN_ATTRIBUTES
    }


# Keys are the artifact's sha256 and path, and all the other arguments of a router.
_unpickled: UnpickledCache[tuple[str, object, Hashable], Serving] = UnpickledCache()


def shared_serving(
    artifact: Artifact,
    embedder: TextEmbedder | None,
    *,
    threads: int,
    device: Device,
    cache: int | None,
    mmap: bool | Literal["auto"] = "auto",
    shadow: Artifact | None = None,
) -> Serving:
    """Return the `Serving` of an unpickled router: one object for all routers that are alike.

    A router whose artifact is new takes over the embedder that another one has loaded.

    Args:
        artifact: As in `Serving`, like all that follows.
        embedder: The caller's embedder, or None.
        threads: Threads that embed one text.
        device: Device of the embedder.
        cache: Size of the cache, or None.
        mmap: How the embedder's model file is opened.
        shadow: The artifact that decides beside the first, or None.

    Raises:
        EmbedderMismatchError: The embedder is not the artifact's.
    """
    embedder_key = None if embedder is None else embedder._pickle_key()
    options = (
        *(embedder_key, artifact.embedder["fingerprint"], threads, device, cache, mmap),
        None if shadow is None else (shadow.sha256, shadow.path),
    )

    def make(others: Iterable[tuple[tuple[str, object, Hashable], Serving]] = ()) -> Serving:
        for (_, _, other_options), other in others:
            if other_options == options and other.loaded is not None:
                return other.with_artifact(artifact, embedder)
        return Serving(
            artifact,
            embedder,
            threads=threads,
            device=device,
            cache=cache,
            mmap=mmap,
            shadow=shadow,
        )

    try:
        hash(options)
    except TypeError:  # a callable object without a hash: nothing tells whether two are equal
        return make()
    return _unpickled.get((artifact.sha256, artifact.path, options), make)
