"""Damaged files, for the tests of what reads them."""

from hypothesis import strategies


def damaged(contents: bytes) -> strategies.SearchStrategy[bytes]:
  """Contents cut off, with bytes changed, taken out, or put in."""
  place = strategies.integers(0, len(contents))
  return strategies.one_of(
    strategies.builds(lambda end: contents[:end], place),
    strategies.builds(
      lambda start, stop, new: contents[:start] + new + contents[stop:],
      place,
      place,
      strategies.binary(max_size=9),
    ),
    strategies.builds(
      lambda start, new: contents[:start] + new + contents[start + len(new) :],
      place,
      strategies.binary(min_size=1, max_size=4),
    ),
  )
