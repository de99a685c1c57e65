"""A few hundred mutations of each kind of program file; the script tries tens of thousands."""

import pytest

from benchmarks.program_file_mutations import KINDS, run


@pytest.mark.parametrize("kind", KINDS)
def test_no_bytes_do_harm(kind):
    """Each mutation is refused by a sentence, or is the object with these bytes, and takes no more memory."""
    counts = run(kind, 300, 1)
    assert counts["refused"] > 200
    assert 0 < counts["largest, of bytes allowed"] <= counts["allowed"]
