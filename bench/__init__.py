"""How fast it is, measured in one run with something to compare to: `python -m bench [NAME] [--json]`."""
