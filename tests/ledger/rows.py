"""Batches for tests of the ledger: any bytes for the journal, which does not look inside."""

from typing import NamedTuple

import numpy as np

from sorter.ledger.journal import BatchRecord, Journal, PlanRecord, Record
from sorter.records import DECISION, EVENT, Batch, Rows


class Written(NamedTuple):
    """What a test gave the journal: the slow twin of a record."""

    seq: int
    content: tuple[bytes, bytes, bytes] | tuple[int, bytes]  # events, codes, decisions; or number and data


def random_batch(seed: int, events: int, codes: int, decisions: int) -> tuple[Batch, Rows]:
    """Rows of arbitrary bytes."""
    chance = np.random.default_rng(seed)
    return (
        Batch(
            np.frombuffer(chance.bytes(events * EVENT.itemsize), EVENT),
            np.frombuffer(chance.bytes(codes * 32), np.uint8).reshape(-1, 32),
        ),
        np.frombuffer(chance.bytes(decisions * DECISION.itemsize), DECISION),
    )


def expected(seq: int, seed: int, events: int, codes: int, decisions: int) -> Written:
    """What append() with the same arguments writes."""
    if not events:
        return Written(seq, (seed % 65_536, np.random.default_rng(seed).bytes(codes * 37 + 1)))
    batch, rows = random_batch(seed, events, codes, decisions)
    return Written(seq, (batch.events.tobytes(), batch.codes.tobytes(), rows.tobytes()))


def append(journal: Journal, seed: int, events: int, codes: int, decisions: int) -> Written:
    """Append a random batch, or a plan when `events` is 0."""
    wanted = expected(journal.next_seq, seed, events, codes, decisions)
    if len(wanted.content) == 2:
        journal.append_plan(*wanted.content)
    else:
        journal.append_batch(wanted.seq, *random_batch(seed, events, codes, decisions))
    return wanted


def as_written(record: Record) -> Written:
    """A record as it was given."""
    if isinstance(record, PlanRecord):
        return Written(record.seq, (record.number, record.data))
    assert isinstance(record, BatchRecord)
    assert record.t_ns == record.batch.events["t_ns"][0]
    batch, decisions = record.batch, record.decisions
    return Written(record.seq, (batch.events.tobytes(), batch.codes.tobytes(), decisions.tobytes()))
