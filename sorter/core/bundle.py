"""A NamedTuple of arrays as one address: compiled kernels write `state.items` and pass a single number.

Numba would unpack every array at every call, and compile anew for each array that happens to
be read-only. Here the addresses and shapes are written down once, as words in memory, after
each array was checked against an example. Uncompiled, kernels take the tuple itself.
"""

import hashlib
from typing import Any, Final, NamedTuple

import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model
from numba.np.arrayobj import populate_array

from sorter.records import Ints64

_WORD: Final = ir.IntType(64)
_populate_array: Any = populate_array  # numba's own functions carry no types
_intrinsic: Any = intrinsic
_typeof: Any = typeof
_lower_getattr: Any = lower_getattr_generic
_register_model: Any = register_model


class Bundle(types.Type):
    """The compiled type of a NamedTuple whose fields are arrays, ints and such tuples."""

    def __init__(self, example: Any) -> None:
        self.fields: dict[str, tuple[int, Any]] = {}  # name -> first word, type
        self.words = 0
        for name, value in example._asdict().items():
            kind: Any = Bundle(value) if isinstance(value, tuple) else _typeof(value)
            self.fields[name] = (self.words, kind)
            self.words += kind.words if isinstance(kind, Bundle) else 1 + getattr(kind, "ndim", 0)
        content = hashlib.sha256(repr(self.fields).encode()).hexdigest()[:16]  # symbols carry the name: keep it short
        super().__init__(name=f"{type(example).__name__}_{content}")


_register_model(Bundle)(models.OpaqueModel)


@infer_getattr
class _Fields(AttributeTemplate):
    key = Bundle

    def generic_resolve(self, bundle: Any, name: str) -> Any:  # type: ignore[override] # numba declares a placeholder
        return bundle.fields[name][1] if name in bundle.fields else None


def _load_word(builder: Any, words: Any, at: int) -> Any:
    """A word never changes while a kernel runs: none is loaded again after a store."""
    loaded = builder.load(builder.gep(words, [ir.Constant(_WORD, at)]))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


@_lower_getattr(Bundle)
def _load_field(context: Any, builder: Any, bundle: Bundle, value: Any, name: str) -> Any:
    first, kind = bundle.fields[name]
    words = builder.gep(builder.bitcast(value, _WORD.as_pointer()), [ir.Constant(_WORD, first)])
    if isinstance(kind, Bundle):
        return builder.bitcast(words, value.type)
    loaded = [_load_word(builder, words, at) for at in range(1 + getattr(kind, "ndim", 0))]
    if not isinstance(kind, types.Array):
        return loaded[0]
    array = context.make_array(kind)(context, builder)
    item_bytes = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [item_bytes]
    for length in reversed(loaded[2:]):
        strides.insert(0, builder.mul(strides[0], length))
    data = builder.inttoptr(loaded[0], array.data.type)
    _populate_array(array, data=data, shape=loaded[1:], strides=strides, itemsize=item_bytes, meminfo=None)
    return array._getvalue()  # noqa: SLF001 # numba's own way to end the making of a struct


def reader(example: Any) -> Any:
    """An intrinsic: address -> the bundle that lies there, for tuples like `example`."""
    bundle = Bundle(example)

    def at_type(_context: Any, _address: Any) -> Any:
        def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(bundle))

        return bundle(types.int64), code

    return _intrinsic(at_type)


class Bound(NamedTuple):
    """A tuple and the words that describe it; hold it as long as the address is in use."""

    value: Any
    words: Ints64
    address: int


def bind(example: Any, value: Any) -> Bound:
    """Write down where the arrays of `value` are.

    Raises TypeError naming the field whose dtype, dimensions or layout differ from the example's.
    """
    words = np.array(_words(type(example).__name__, example, value), np.int64)
    return Bound(value, words, words.ctypes.data)


def _words(path: str, example: Any, value: Any) -> list[int]:
    if hasattr(example, "_fields"):
        pairs = zip(example._fields, example, value, strict=True)
        return [word for name, inner, given in pairs for word in _words(f"{path}.{name}", inner, given)]
    if not isinstance(example, np.ndarray):
        return [int(value)]
    if value.dtype != example.dtype or value.ndim != example.ndim or not value.flags.c_contiguous:
        raise TypeError(
            f"{path} is {value.dtype}[{value.ndim}-d]; the kernels need {example.dtype}[{example.ndim}-d], C-contiguous"
        )
    return [value.ctypes.data, *value.shape]
