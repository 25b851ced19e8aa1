"""From the journal to tables that staff query: in a process of its own, which reads files and nothing else.

ledger.db can always be made again: its place in the journal is written with its rows, and where the
two do not match it is thrown away and rebuilt.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import apsw

from sorter.ledger.disk import REAL, Locked
from sorter.ledger.disturbances import Disturbance
from sorter.ledger.fold import Chute, Fold, Item, LoadUnit, Trip
from sorter.ledger.journal import InUse, JournalError
from sorter.ledger.schema import DATABASE_NAME, SCHEMA, SCHEMA_VERSION
from sorter.ledger.segments import START, Position, Record, confirms, follow
from sorter.records import SortPlan, plan_from_bytes

LOCK_NAME: Final = "projection.lock"
NICENESS: Final = 10  # deciding goes first where processors are few
ROWS_PER_TRANSACTION: Final = 8192
EVENTS_PER_TRANSACTION: Final = 1 << 17

_ITEM_COLUMNS: Final = tuple(one.name for one in fields(Item))
_FIXED: Final = ("serial", "line", "item", "entered_ns", "day", "minute")
_CHANGING: Final = tuple(name for name in _ITEM_COLUMNS if name not in _FIXED)
_item_row: Final = attrgetter(*_ITEM_COLUMNS)
_item_changes: Final = attrgetter(*_CHANGING, "serial")
_item_changes_read: Final = attrgetter(*(name for name in _CHANGING if name != "waybill"), "serial")


def _insert(table: str, columns: int, verb: str = "INSERT") -> str:
    return f"{verb} INTO {table} VALUES ({', '.join('?' * columns)})"


def _update(columns: tuple[str, ...]) -> str:
    return f"UPDATE item SET {', '.join(f'{name} = ?' for name in columns)} WHERE serial = ?"  # noqa: S608 # the names of our own columns


_INSERT_ITEM: Final = _insert("item", len(_ITEM_COLUMNS))
_UPDATE_ITEM: Final = _update(_CHANGING)
_UPDATE_READ_ITEM: Final = _update(tuple(name for name in _CHANGING if name != "waybill"))  # spares its index
_UPSERT_TRIP: Final = (
    "INSERT INTO trip VALUES (?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (trip) DO UPDATE SET sent_ns = excluded.sent_ns"
)
_ADD_REFUSALS: Final = (
    "INSERT INTO refusal VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events"
)
_ADD_PLAN: Final = "INSERT INTO plan VALUES (?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET t_ns = excluded.t_ns"


class Projection:
    """ledger.db beside the journal, and how far it has come."""

    def __init__(self, folder: Path) -> None:
        """Open FOLDER/ledger.db, or make it anew. Raises InUse when another projection writes it."""
        self.folder = folder
        self.rebuilt = False  # whether what was there was thrown away
        try:
            self._lock = REAL.lock(folder / LOCK_NAME, "the projection")
        except Locked as holder:
            raise InUse(f"{folder / DATABASE_NAME} is already written by {holder}; one projection is enough") from None
        self._database, self.position = self._open()
        self._fold = _remembered(self._database)
        self._stored = {serial: item.waybill for serial, item in self._fold.items.items()}  # on the belt, as written
        self._records: Iterator[Record | None] = follow(folder, self.position)

    def close(self) -> None:
        """Give up the files."""
        self._database.close()
        REAL.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def catch_up(self) -> int:
        """Take what the journal has now, in bounded transactions; returns how many events that were.

        Raises Damaged, FoldError.
        """
        before = self.position.seq
        end = self.position
        while (record := next(self._records)) is not None:
            self._fold.take(record)
            end = record.end
            if len(self._fold.rows) >= ROWS_PER_TRANSACTION or end.seq - self.position.seq >= EVENTS_PER_TRANSACTION:
                self._commit(end)
        self._commit(end)
        return self.position.seq - before

    def _open(self) -> tuple[apsw.Connection, Position]:
        path = self.folder / DATABASE_NAME
        if path.exists():
            if matching := _open_matching(path):
                return matching
            self.rebuilt = True
        for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"):
            (self.folder / name).unlink(missing_ok=True)
        database = _connect(path)
        with database:
            database.execute(SCHEMA)
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            database.execute("INSERT INTO progress VALUES (?, ?, ?, ?)", START)
        return database, START

    def _commit(self, end: Position) -> None:
        if end == self.position:
            return
        with self._database:
            self._write()
            self._database.execute("UPDATE progress SET segment = ?, offset = ?, crc = ?, seq = ?", end)
        self.position = end

    def _write(self) -> None:
        rows, self._fold.rows = self._fold.rows, type(self._fold.rows)()
        many = self._database.executemany
        self._write_items(rows.items)
        many(_insert("day", 2), rows.days)
        many(_insert("scan", 12), rows.scans)
        many(_insert("decision", 12), rows.decisions)
        many(_insert("discharge", 5), rows.discharges)
        many(_insert("command", 8), rows.commands)
        many(_insert("client", 5, "INSERT OR REPLACE"), rows.clients)
        many(_insert("load_unit", 6, "INSERT OR REPLACE"), map(_LOAD_UNIT_ROW, rows.load_units.values()))
        many(_insert("chute", 6, "INSERT OR REPLACE"), map(_CHUTE_ROW, rows.chutes.values()))
        disturbances = map(_DISTURBANCE_ROW, self._fold.disturbances.take_rows())
        many(_insert("disturbance", 7, "INSERT OR REPLACE"), disturbances)
        many(_UPSERT_TRIP, map(_TRIP_ROW, rows.trips.values()))
        many("UPDATE trip SET load = load + ? WHERE trip = ?", [(more, trip) for trip, more in rows.loads.items()])
        many(_ADD_REFUSALS, [(*key, more) for key, more in rows.refusals.items()])
        many(_ADD_PLAN, rows.plans)
        for sort_plan in rows.names:
            self._write_names(sort_plan)

    def _write_items(self, items: dict[int, Item]) -> None:
        stored = self._stored
        known = [item for serial, item in items.items() if serial in stored]
        read = [item for item in known if item.waybill != stored[item.serial]]
        rest = [item for item in known if item.waybill == stored[item.serial]]
        many = self._database.executemany
        many(_INSERT_ITEM, [_item_row(item) for serial, item in items.items() if serial not in stored])
        many(_UPDATE_ITEM, [_item_changes(item) for item in read])
        many(_UPDATE_READ_ITEM, [_item_changes_read(item) for item in rest])
        for serial, item in items.items():
            if item.outcome is None:
                stored[serial] = item.waybill
            else:
                stored.pop(serial, None)

    def _write_names(self, sort_plan: SortPlan) -> None:
        names = sort_plan.names
        townships = [names.townships[index] for index in names.station_townships]
        many = self._database.executemany
        many(
            _insert("station", 3, "INSERT OR REPLACE"),
            zip(names.stations, names.station_titles, townships, strict=True),
        )
        many(
            _insert("lane", 3, "INSERT OR REPLACE"), zip(names.lanes, names.lane_titles, names.lane_kinds, strict=True)
        )
        many(_insert("carrier", 2, "INSERT OR REPLACE"), zip(names.carriers, names.carrier_titles, strict=True))


_LOAD_UNIT_ROW: Final = attrgetter(*(one.name for one in fields(LoadUnit)))
_CHUTE_ROW: Final = attrgetter(*(one.name for one in fields(Chute)))
_DISTURBANCE_ROW: Final = attrgetter(*(one.name for one in fields(Disturbance)))
_TRIP_ROW: Final = attrgetter(*(one.name for one in fields(Trip)))


def _connect(path: Path) -> apsw.Connection:
    database = apsw.Connection(str(path))
    database.set_busy_timeout(10_000)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("PRAGMA synchronous = normal")
    database.execute("PRAGMA cache_size = -65536")
    return database


def _open_matching(path: Path) -> tuple[apsw.Connection, Position] | None:
    """The database and its place in the journal; None when it is of another schema, another journal, or broken."""
    database = None
    try:
        database = _connect(path)
        if database.execute("PRAGMA user_version").get == SCHEMA_VERSION:
            position = Position(*database.execute("SELECT * FROM progress").get)
            if confirms(path.parent, position):
                return database, position
    except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError):
        if database is None:
            return None
    database.close()
    return None


def _remembered(database: apsw.Connection) -> Fold:
    """What the fold held when the last transaction was written."""
    fold = Fold()
    fold.serial = database.execute("SELECT coalesce(max(serial), 0) FROM item").get
    fold.load_unit = database.execute("SELECT coalesce(max(load_unit), 0) FROM load_unit").get
    fold.trip = database.execute("SELECT coalesce(max(trip), 0) FROM trip").get
    fold.day = database.execute("SELECT coalesce(max(day), '') FROM day").get
    for number, data, in_force in database.execute("SELECT number, data, t_ns IS NOT NULL FROM plan ORDER BY t_ns"):
        sort_plan = plan_from_bytes(data)
        if in_force:
            fold.put_in_force(sort_plan)
        else:
            fold.plans[number] = sort_plan
    lines = fold.sort_plan.names.lines if fold.sort_plan else ()
    for row in database.execute("SELECT * FROM item WHERE outcome IS NULL ORDER BY serial"):
        item = fold.items[row[0]] = Item(*row)
        fold.belt[lines.index(item.line), item.item] = item.serial
    fold.numbers.update(dict(database.execute("SELECT chute, max(number) FROM load_unit GROUP BY chute")))
    for row in database.execute("SELECT * FROM load_unit WHERE closed_ns IS NULL"):
        fold.standing[row[1]] = LoadUnit(*row)
    for row in database.execute("SELECT * FROM chute"):
        fold.chutes[row[0]] = Chute(*row)
    fold.disturbances.last = database.execute("SELECT coalesce(max(disturbance), 0) FROM disturbance").get
    for row in database.execute("SELECT * FROM disturbance WHERE ended_ns IS NULL"):
        fold.disturbances.remember(Disturbance(*row))
    for row in database.execute("SELECT trip, lane, cutoff_ns, departs_ns, day, capacity, sent_ns FROM trip"):
        fold.remember(Trip(*row))
    opened = "SELECT entered_ns FROM item JOIN day ON serial = first_serial ORDER BY day.day DESC LIMIT 1"
    fold.forget_trips(database.execute(opened).get or 0)
    sent = "SELECT lane, max(cutoff_ns) FROM trip WHERE sent_ns IS NOT NULL GROUP BY lane"
    fold.sent_ns.update(dict(database.execute(sent)))
    return fold


def run(folder: Path, *, stop: Callable[[], bool], idle_s: float = 0.05) -> None:
    """Keep ledger.db up with the journal until stop() is true, then catch up once more. Raises as Projection does."""
    with Projection(folder) as projection:
        while not stop():
            if not projection.catch_up():
                time.sleep(idle_s)
        projection.catch_up()


def main() -> None:
    """The projection as a process: it ends with SIGTERM, or when whoever started it is gone."""
    parser = argparse.ArgumentParser(prog="python -m sorter.ledger.projection", description=__doc__)
    parser.add_argument("folder", type=Path, help="the ledger's folder, which holds the journal")
    parser.add_argument("--once", action="store_true", help="catch up with the journal and end")
    arguments = parser.parse_args()
    asked = [signal.SIGTERM] if arguments.once else []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: asked.append(signal.Signals(got)))
    os.nice(NICENESS)
    parent = os.getppid()
    try:
        run(arguments.folder, stop=lambda: bool(asked) or os.getppid() != parent)
    except JournalError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
