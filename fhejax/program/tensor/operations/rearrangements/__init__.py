"""Operations that only rearrange the entries of an array, or repeat them, one kind in each module."""
