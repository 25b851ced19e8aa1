"""The ledger: the journal of events and decisions is the truth, the projection is what staff query."""
