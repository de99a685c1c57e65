"""Other libraries doing the same work, each as a script in an environment of its own."""
