"""The `sorter` command."""
