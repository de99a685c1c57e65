"""Programs that a person runs: one for each result, each prints a table and draws a picture."""
