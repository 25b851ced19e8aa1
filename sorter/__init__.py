"""Hub Sorter: decides each parcel's chute, in time, and can prove it afterwards."""

__version__ = "0.1.0"
