"""Every maximum has one name, here, and is held against the others when this file is imported.

A kernel compiles these numbers in; a table, a frame or a file that goes beyond one is
refused by its name before anything is allocated for it.
"""

from typing import Final

# The plan. Widths are those of the manifest's packed payload (core/manifest.py).
CARRIERS_MAX: Final = 32
PATTERNS_MAX: Final = 64  # waybill patterns, one bit each in a 64-bit word
STATIONS_MAX: Final = 4095  # 12 bits; the last value means "no advice"
SERVICES_MAX: Final = 16
TOWNSHIPS_MAX: Final = 255
LANES_MAX: Final = 1024
LINES_MAX: Final = 32
CHUTES_MAX: Final = 4096
CHUTE_NUMBER_MAX: Final = 65_534
TRIPS_MAX: Final = 65_534  # weekly departures over all lanes
RULES_MAX: Final = 20_000
ROW_NUMBER_MAX: Final = 65_534
SORT_CODES_MAX: Final = 200_000
SPILL_HOPS_MAX: Final = 4
WAYBILL_STATES_MAX: Final = 4096

# One parcel.
CODE_TEXT_MAX: Final = 31  # bytes of a code kept; a longer one is no waybill
CODES_PER_SCAN_MAX: Final = 8
WAYBILL_TEXT_MAX: Final = 24  # characters of base 40 that fit 128 bits
WEIGHT_MAX_G: Final = 262_143  # 18 bits
SIZE_MAX_MM: Final = 65_535
LAPS_MAX: Final = 250
CAPACITY_MAX: Final = 1_000_000  # items in a chute or on a trip
ITEM_NUMBER_MAX: Final = 2**32 - 1

# The belt and its memory.
ITEMS_ON_BELT_MAX: Final = 1 << 16
CLIENTS_MAX: Final = 1024
TIMEOUTS_PER_STEP_MAX: Final = 1024
ADVICES_MAX: Final = 1 << 25

# The wire.
FRAME_BYTES_MAX: Final = 1 << 20
MESSAGES_PER_FRAME_MAX: Final = 4096
NAME_TEXT_MAX: Final = 31  # a client's, operator's or line's name; kept in one code row
TITLE_TEXT_MAX: Final = 60  # characters of what staff read of a station, lane or carrier
RESEND_MAX: Final = 65_536  # messages a client keeps until they are acknowledged

# The loop.
BATCH_EVENTS_MAX: Final = 8192
BATCH_CODES_MAX: Final = 4 * BATCH_EVENTS_MAX
BATCH_DECISIONS_MAX: Final = 2 * BATCH_EVENTS_MAX + TIMEOUTS_PER_STEP_MAX

# The ledger.
SEGMENT_BYTES: Final = 64 << 20
RECORD_BYTES_MAX: Final = 16 << 20
PLAN_UNPACKED_MAX: Final = 512 << 20
PLAN_BYTES_MAX: Final = RECORD_BYTES_MAX - 4096

EVENT_BYTES: Final = 64
CODE_BYTES: Final = 32
DECISION_BYTES: Final = 64

_BATCH_BYTES_MAX = BATCH_EVENTS_MAX * EVENT_BYTES + BATCH_CODES_MAX * CODE_BYTES + BATCH_DECISIONS_MAX * DECISION_BYTES

assert STATIONS_MAX < 1 << 12
assert CARRIERS_MAX <= 1 << 5
assert SERVICES_MAX <= 1 << 4
assert WEIGHT_MAX_G < 1 << 18
assert 40 ** (WAYBILL_TEXT_MAX // 2) < 1 << 64
assert CODE_TEXT_MAX + 1 == CODE_BYTES
assert WAYBILL_TEXT_MAX <= CODE_TEXT_MAX
assert NAME_TEXT_MAX <= CODE_TEXT_MAX
assert MESSAGES_PER_FRAME_MAX <= BATCH_EVENTS_MAX
assert CODES_PER_SCAN_MAX <= BATCH_CODES_MAX
assert _BATCH_BYTES_MAX + 4096 <= RECORD_BYTES_MAX <= SEGMENT_BYTES
assert TIMEOUTS_PER_STEP_MAX <= ITEMS_ON_BELT_MAX
assert CHUTES_MAX < CHUTE_NUMBER_MAX < 0xFFFF
