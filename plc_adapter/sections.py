"""A section of site.toml is read key by key: every key that cannot be is told, with what to write instead."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

NEAR: Final = 0.75  # of difflib's ratio: report_db and reports_db have 0.95, plans and plc 0.5


def nearest(name: str, names: Iterable[str]) -> str:
    """The one of `names` that `name` was surely meant to be, "" where there is none."""
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=NEAR)), "")


def read(
    section: Mapping[str, Any], kind: type[msgspec.Struct], missing: Mapping[str, str], faults: list[str]
) -> dict[str, Any]:
    """The values of a section's keys as the fields of `kind` want them; `faults` gets what is wrong, key first.

    `missing` says what to write for each field that has no default.
    """
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key not in fields:
            meant = nearest(key, fields)
            faults.append(
                f"{key}: there is no such key; " + (f"did you mean {meant}?" if meant else f"write {', '.join(fields)}")
            )
        elif wrong := _wrong(value, fields[key].type):
            faults.append(f"{key}: {wrong}")
        else:
            values[key] = msgspec.convert(value, fields[key].type)
    faults += [
        f"{name}: it is missing; write {missing[name]}"
        for name, field in fields.items()
        if field.required and name not in section
    ]
    return values


def _wrong(value: Any, kind: Any) -> str:
    """Why a value is none of a kind, "" when it is one."""
    if get_origin(kind) is Literal and value not in get_args(kind):
        shown = f'"{value}"' if isinstance(value, str) else value
        return f"{shown} is none of {', '.join(map(str, get_args(kind)))}"
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return ""
