"""A real writer to be killed: `python -m tests.ledger.writer_process FOLDER` prints each sequence number that is
on disk, one a line, until it dies.
"""

import sys
from pathlib import Path

from sorter.ledger.journal import Journal
from tests.ledger.rows import append


def main() -> None:
    with Journal.open(Path(sys.argv[1]), segment_bytes=1 << 18, owner="the victim") as journal:
        sys.stdout.write("open\n")
        sys.stdout.flush()
        while True:
            for _ in range(1 + journal.next_seq % 3):
                append(journal, journal.next_seq, 1 + journal.next_seq % 7, journal.next_seq % 5, 3)
            journal.sync()
            sys.stdout.write(f"{journal.next_seq}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
