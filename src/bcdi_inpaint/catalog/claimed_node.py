"""Requests to a node that is claimed, which may have been taken over by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import httpx
from tiled.client.utils import ClientError
from tiled.structures.core import StructureFamily

from bcdi_inpaint.base_error import BcdiInpaintError

from .layout import array_source
from .nodes import create, delete

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from tiled.client.array import ArrayClient
    from tiled.client.container import Container
    from tiled.structures.array import ArrayStructure
    from tiled.structures.data_source import DataSource

Answer = TypeVar("Answer")


class ClaimLostError(BcdiInpaintError, RuntimeError):
    """The node has gone: the claim had expired and somebody else has taken over."""


class ClaimedNode:
    """A node whose children are being made, with the raw run's access tags.

    Every method raises `ClaimLostError` if it has been taken over.
    """

    def __init__(self, node: Container, access_tags: tuple[str, ...]) -> None:
        self.node = node
        self.access_tags = access_tags

    @property
    def key(self) -> str:
        """The node's key."""
        return str(self.node.item["id"])

    def call(self, request: Callable[..., Answer], *args: object, **kwargs: object) -> Answer:
        """Make a request to the server."""
        try:
            return request(*args, **kwargs)
        except ClientError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                raise ClaimLostError(
                    f"{self.key} has gone: somebody else has taken it over"
                ) from error
            raise

    def new_child(self, key: str, source: DataSource[ArrayStructure], units: str) -> ArrayClient:
        """An empty or registered child array, in place of one that is there already."""
        parent = self.node.base

        def new_child() -> ArrayClient:
            child: ArrayClient = create(
                parent,
                StructureFamily.array,
                [source],
                key=key,
                metadata={"units": units} if units else {},
                access_tags=self.access_tags,
            )
            return child

        try:
            return self.call(new_child)
        except ClientError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise
        delete(parent, key)
        return self.call(new_child)

    def write(self, key: str, array: NDArray[np.number], dims: tuple[str, ...], units: str) -> None:
        """Write a small array at once."""
        chunks = tuple((length,) for length in array.shape)
        child = self.new_child(key, array_source(array.shape, array.dtype, chunks, dims), units)
        self.call(child.write, array)

    def empty(self) -> None:
        """Remove all children."""
        for child in list(self.node.base):
            delete(self.node.base, child)
