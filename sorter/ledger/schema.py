"""The tables of ledger.db, in the words staff use. They hold waybills, never names, phones or addresses."""

from typing import Final

DATABASE_NAME: Final = "ledger.db"
SCHEMA_VERSION: Final = 2
"""Raised with every change of a table or of its meaning: an older file is then rebuilt from the journal."""

SCHEMA: Final = """
-- How far the journal has been taken; written with the rows it led to.
CREATE TABLE progress (segment INTEGER, offset INTEGER, crc INTEGER, seq INTEGER);

-- Every item inducted, once. `outcome` is the reason it ended with; NULL: it is on the belt.
CREATE TABLE item (
    serial INTEGER PRIMARY KEY, line TEXT, item INTEGER, induct INTEGER,
    entered_ns INTEGER, day TEXT, minute INTEGER,           -- day and minute of the day are local
    waybill TEXT, carrier TEXT, service TEXT, flow TEXT, station TEXT, township TEXT, weight_g INTEGER,
    chute INTEGER, alternate INTEGER, reason TEXT, row INTEGER, plan INTEGER, decided_ns INTEGER,
    lane TEXT, trip INTEGER,
    ended_ns INTEGER, outcome TEXT, dropped INTEGER, load_unit INTEGER
);
CREATE INDEX item_waybill ON item (waybill) WHERE waybill IS NOT NULL;
CREATE INDEX item_on_belt ON item (serial) WHERE outcome IS NULL;
CREATE VIEW counted AS  -- sorted: it went into a stream of its own
    SELECT *, outcome IS NOT NULL AND outcome IN ('planned', 'spilled', 'alternate') AS sorted FROM item;

-- Local days with items; a day's items have serials from first_serial up to the next day's.
CREATE TABLE day (day TEXT PRIMARY KEY, first_serial INTEGER) WITHOUT ROWID;

-- `seq` is the event's number in the journal.
CREATE TABLE scan (
    serial INTEGER, seq INTEGER, t_ns INTEGER, age_us INTEGER, client INTEGER, induct INTEGER, lap INTEGER,
    weight_g INTEGER, length_mm INTEGER, width_mm INTEGER, height_mm INTEGER, codes TEXT,  -- codes: JSON
    PRIMARY KEY (serial, seq)
) WITHOUT ROWID;
CREATE TABLE decision (
    serial INTEGER, seq INTEGER, t_ns INTEGER, deadline_ns INTEGER, chute INTEGER, alternate INTEGER,
    reason TEXT, row INTEGER, plan INTEGER, lane TEXT, trip INTEGER, station TEXT,
    PRIMARY KEY (serial, seq)
) WITHOUT ROWID;
CREATE TABLE discharge (
    serial INTEGER, seq INTEGER, t_ns INTEGER, chute INTEGER, outcome TEXT,
    PRIMARY KEY (serial, seq)
) WITHOUT ROWID;

-- What stands under a chute, from its first item to its change. Named chute-number: 101-7.
CREATE TABLE load_unit (
    load_unit INTEGER PRIMARY KEY, chute INTEGER, number INTEGER, opened_ns INTEGER, closed_ns INTEGER, items INTEGER
);

-- A departure; `load` counts the items that dropped for it.
CREATE TABLE trip (
    trip INTEGER PRIMARY KEY, lane TEXT, cutoff_ns INTEGER, departs_ns INTEGER, day TEXT, capacity INTEGER,
    load INTEGER, sent_ns INTEGER
);
CREATE INDEX trip_day ON trip (day);

CREATE TABLE command (
    seq INTEGER PRIMARY KEY, t_ns INTEGER, verb TEXT, chute INTEGER, waybill TEXT, lane TEXT, who TEXT, refusal TEXT
);
CREATE TABLE refusal (day TEXT, refusal TEXT, events INTEGER, PRIMARY KEY (day, refusal)) WITHOUT ROWID;

-- What disturbed a line: `what` is the word of an alarm, or a chute's state. Line '', started: the daemon started.
CREATE TABLE disturbance (
    disturbance INTEGER PRIMARY KEY, line TEXT, what TEXT, chute INTEGER, items INTEGER,
    began_ns INTEGER, ended_ns INTEGER                     -- NULL: it lasts
);
CREATE INDEX disturbance_began ON disturbance (began_ns);
CREATE INDEX disturbance_lasts ON disturbance (disturbance) WHERE ended_ns IS NULL;

-- t_ns NULL: not in force yet.
CREATE TABLE plan (number INTEGER PRIMARY KEY, version TEXT, t_ns INTEGER, utc_offset_ns INTEGER, data BLOB);
CREATE TABLE client (client INTEGER PRIMARY KEY, name TEXT, role TEXT, line TEXT, t_ns INTEGER);
CREATE TABLE chute (chute INTEGER PRIMARY KEY, line TEXT, lane TEXT, capacity INTEGER, state TEXT, locked INTEGER);
CREATE TABLE lane (lane TEXT PRIMARY KEY, title TEXT, kind TEXT) WITHOUT ROWID;
CREATE TABLE station (station TEXT PRIMARY KEY, title TEXT, township TEXT) WITHOUT ROWID;
CREATE TABLE carrier (carrier TEXT PRIMARY KEY, title TEXT) WITHOUT ROWID;
"""
