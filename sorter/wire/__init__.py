"""Bytes on one side, records on the other: the messages, the sockets that carry them, and who may say what."""
