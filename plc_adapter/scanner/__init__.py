"""Barcode readers and DWS frames: bytes become telegrams, telegrams readings, and readings find their item."""
