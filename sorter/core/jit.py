"""The one decorator for every kernel, where its compiled code is kept, and the machine instructions it lacks.

Numba checks a cached kernel against its own file only, and not against the bounds-check
switch. So the cache folder is named after a digest of all sources and the mode.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

i64: Callable[[Any], int] = cast("Callable[[Any], int]", np.int64)
u64: Any = np.uint64

_numba: Any = numba  # its own types know neither `config` nor `_nrt`
_cgutils: Any = cgutils
_intrinsic: Any = intrinsic
_arrayobj: Any = arrayobj

_ROOT: Final = Path(__file__).parent.parent
_FROZEN: Final = ("limits.py", "reasons.py", "records.py")  # Numba compiles their globals in
COMMON_WORDS: Final = 16  # two cache lines: a table of 1,024 rows is looked at in one go
_LINE_BYTES: Final = 64
_INT_64: Final = ir.IntType(64)
_WORD_MASK: Final = (1 << 64) - 1


def _sources_digest() -> str:
    sources = sorted([*_ROOT.glob("core/*.py"), *(_ROOT / name for name in _FROZEN)])
    texts = (f"{path.name}\n".encode() + path.read_bytes() for path in sources)
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def _cache_root() -> Path:
    """Where this user's caches are: systemd's CacheDirectory=, else the desktop's."""
    for variable in ("CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    return Path.home() / ".cache"


def private_folder(folder: Path) -> Path:
    """Make `folder` with mode 0700, or check that it is this user's alone.

    A cached kernel is a pickle: whoever can plant one here runs code as this user.
    Raises PermissionError when the folder is a link, somebody else's or open to others.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(
            f"{folder} must be a folder of user {os.getuid()} with mode 0700, because compiled kernels "
            f"are loaded from it; remove it, or set XDG_CACHE_HOME to a folder of your own"
        )
    return folder


UNCOMPILED: Final = bool(_numba.config.DISABLE_JIT)

if not UNCOMPILED:
    _mode = "checked" if _numba.config.BOUNDSCHECK else "fast"
    _home = private_folder(_cache_root() / "hub-sorter")
    _numba.config.CACHE_DIR = str(private_folder(_home / f"kernels-{_sources_digest()}-{_mode}"))


def _index_from_the_start(context: Any, builder: Any, index_type: Any, index: Any, _size: Any) -> Any:
    """An index as it is. Numba would test each for being negative, as Python counts those from the end.

    No kernel does: with the bounds-check switch a negative one is now an error, too.
    """
    return context.cast(builder, index, index_type, types.intp)


_arrayobj.fix_integer_index = _index_from_the_start

_KERNEL: Final = {"error_model": "numpy", "_nrt": False}  # it can neither allocate nor count references
_INNER: Final = {**_KERNEL, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def entry(function: Kernel) -> Kernel:
    """Compile a function that Python calls, on its first call, and keep the code with all it calls."""
    compiled: Kernel = _numba.njit(cache=True, **_KERNEL)(function)
    return compiled


def kernel(function: Kernel) -> Kernel:
    """Compile a function that only kernels call."""
    compiled: Kernel = _numba.njit(**_INNER)(function)
    return compiled


def inlined(function: Kernel) -> Kernel:
    """As `kernel`, for the few lines every scan goes through: no call is left of them, at the price of compile time."""
    compiled: Kernel = _numba.njit(forceinline=True, **_INNER)(function)
    return compiled


def _ask_memory(context: Any, builder: Any, signature: Any, arguments: Any, lines: int) -> Any:
    array_type, _ = signature.args
    array = context.make_array(array_type)(context, builder, arguments[0])
    zeros = [ir.Constant(_INT_64, 0)] * (array_type.ndim - 1)
    pointer = _cgutils.get_item_pointer(context, builder, array_type, array, [arguments[1], *zeros])
    byte_pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    narrow = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte_pointer.type, narrow, narrow, narrow])
    function = _cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    read, keep, data = (ir.Constant(narrow, value) for value in (0, 3, 1))
    for line in range(lines):
        address = builder.gep(byte_pointer, [ir.Constant(_INT_64, line * _LINE_BYTES)])
        builder.call(function, [address, read, keep, data])
    return context.get_dummy_value()


def _prefetch_type(_context: Any, array: Any, _index: Any) -> Any:
    return types.void(array, types.int64), partial(_ask_memory, lines=1)


def _prefetch_pair_type(_context: Any, array: Any, _index: Any) -> Any:
    return types.void(array, types.int64), partial(_ask_memory, lines=2)


def _common_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """AND the words of each array at once; the mask of those that are not 0 comes back as a number."""
    vector = ir.VectorType(_INT_64, COMMON_WORDS)
    common = ir.Constant(vector, [(1 << 64) - 1] * COMMON_WORDS)
    for array_type, argument in zip(signature.args[:-1], arguments[:-1], strict=True):
        array = context.make_array(array_type)(context, builder, argument)
        first = builder.gep(array.data, [arguments[-1]])
        common = builder.and_(common, builder.load(builder.bitcast(first, vector.as_pointer()), align=8))
    there = builder.icmp_unsigned("!=", common, ir.Constant(vector, [0] * COMMON_WORDS))
    return builder.zext(builder.bitcast(there, ir.IntType(COMMON_WORDS)), _INT_64)


def _common_type(_context: Any, one: Any, two: Any, three: Any, four: Any, five: Any, _at: Any) -> Any:
    return types.int64(one, two, three, four, five, types.int64), _common_code


def _trailing_zeros_type(_context: Any, _word: Any) -> Any:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


def _prefetch_slow(_lines: Any, _index: int) -> None:
    return None


def _common_slow(one: Any, two: Any, three: Any, four: Any, five: Any, at: int) -> int:
    words = range(COMMON_WORDS)
    common = (one[at + word] & two[at + word] & three[at + word] & four[at + word] & five[at + word] for word in words)
    return sum((bits != 0) << word for word, bits in enumerate(common))


def _trailing_zeros_slow(word: Any) -> int:
    return (int(word) & -int(word)).bit_length() - 1


def _multiply_slow(left: Any, right: Any) -> Any:
    return np.uint64(int(left) * int(right) & _WORD_MASK)


def _multiply_fast(left: Any, right: Any) -> Any:
    return left * right


prefetch: Callable[[Any, int], None]
"""Ask memory for the cache line in which row `index` of an array begins."""
prefetch_pair: Callable[[Any, int], None]
"""As `prefetch`, and for the cache line behind it."""
common_words: Callable[[Any, Any, Any, Any, Any, int], int]
"""Of COMMON_WORDS words from `at` on, one bit for each that has a bit set in all five uint64 arrays."""
trailing_zeros: Callable[[Any], int]
"""Zeros below the lowest set bit of a word that is not 0."""
multiply: Callable[[Any, Any], Any]
"""The low 64 bits of the product of two words."""

if UNCOMPILED:
    prefetch, prefetch_pair = _prefetch_slow, _prefetch_slow
    common_words, trailing_zeros, multiply = _common_slow, _trailing_zeros_slow, _multiply_slow
else:
    prefetch, prefetch_pair = _intrinsic(_prefetch_type), _intrinsic(_prefetch_pair_type)
    common_words, trailing_zeros = _intrinsic(_common_type), _intrinsic(_trailing_zeros_type)
    multiply = inlined(_multiply_fast)
