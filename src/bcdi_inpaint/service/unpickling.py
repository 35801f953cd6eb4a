"""Documents from pickles; anything else in them is refused.

numpy's own functions trust what a pickle says about an array: its dtype, its size, and objects at addresses in its bytes.
Pickles can't call them here.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections import OrderedDict
from typing import Any

import numpy as np

CODES = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[SU]\d{1,6})")
"""Dtypes that arrays in documents have: numbers and texts of bounded length."""
PUTS = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
"""Operations that put something into the memo."""
FIELDS = slice(2, 5)
"""Of a dtype's state: what it is made of, if it is made of others."""


def plain_dtype(code: object) -> np.dtype:
    """The dtype of an array in a document.

    Raises
    ------
    UnpicklingError
        If it is none of numbers or texts.
    """
    if not isinstance(code, str) or not CODES.fullmatch(code):
        raise pickle.UnpicklingError(f"an array of {code!r} has no place in a document")
    return np.dtype(code)


def loads(body: bytes) -> object:
    """Load a pickled document.

    Raises
    ------
    Exception
        If there is something else in it, or it is broken.
    """
    _check_memo(body)
    return _Unpickler(io.BytesIO(body)).load()


def _check_memo(body: bytes) -> None:
    """Refuse places in the memo far beyond those that are taken: pickle makes room up to there."""
    taken = 0
    for operation, argument, _ in pickletools.genops(body):
        if operation.name in PUTS:
            if argument is not None and argument > taken:
                raise pickle.UnpicklingError("a pickle's memo is out of order")
            taken += 1


class _Dtype:
    """A dtype as a pickle describes it."""

    def __init__(self, code: object, *_: object) -> None:
        self.dtype = plain_dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[FIELDS]):
            raise pickle.UnpicklingError("an array of records has no place in a document")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that takes no other state than numbers and texts that fill it."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, dtype, fortran, data = state
        super().__setstate__((version, shape, _real(dtype), fortran, _filling(data)))


def _real(dtype: object) -> np.dtype:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array without a dtype has no place in a document")
    return dtype.dtype


def _filling(data: object) -> bytes:
    if not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError("an array of objects has no place in a document")
    return bytes(data)


def _reconstruct(*_: object) -> _Array:
    return _Array((0,), np.uint8)


def _frombuffer(data: object, dtype: object, shape: Any, order: Any) -> np.ndarray:
    return np.ndarray(shape, _real(dtype), _filling(data), order=order)


def _scalar(dtype: object, data: object) -> object:
    return np.ndarray((), _real(dtype), _filling(data))[()]


_NUMPY = {"_reconstruct": _reconstruct, "scalar": _scalar, "_frombuffer": _frombuffer}
KNOWN: dict[tuple[str, str], object] = {
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module in ("multiarray", "numeric")
        for name, function in _NUMPY.items()
    },
    ("numpy", "ndarray"): "numpy.ndarray",
    ("numpy", "dtype"): _Dtype,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("builtins", "bytearray"): bytearray,
}
"""What a document may contain besides plain values: module and name -> what is made instead."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a document")
        return KNOWN[module, name]
