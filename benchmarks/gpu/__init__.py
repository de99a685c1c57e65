"""Everything that is to be known of a GPU, checked first and timed after, in less than four minutes.

    python -m benchmarks.gpu [--sections transforms operations] [--seconds 230] [--save]
    python -m benchmarks.gpu --dry-run

Phase one runs all sections side by side, each in a process of its own, so that what XLA compiles lies in one
persistent cache; a further process computes the CPU's digests. Phase two runs one section after the other,
alone on the card: times are medians. A section that fails, or for which no time is left, is told of and does
not end the others. The table sets beside each time what the planner predicts from the card's row in
`ring/platform.py`, and the bar. `--dry-run` runs the same functions on small sizes, in one process, on any
machine; a bootstrap, which a CPU compiles for a minute, only if its section is named.
"""
