"""A rule set tried: on a day's parcels, beside another one, or on one parcel step by step."""
