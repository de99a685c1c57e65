"""The operations of the traced function, one kind in each module."""
