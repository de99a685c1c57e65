"""How each kind of operation becomes nodes of a circuit, one in each module."""
