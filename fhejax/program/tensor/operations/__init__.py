"""The kinds of operations of a tensor graph, one in each module, and how JAX's primitives become them."""
