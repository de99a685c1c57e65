"""The CIFAR-10 workload of the public benchmark suite for encrypted inference, stage by stage, by files.

Each stage is a program of its own that takes a size and works in `io/<size>`, as the suite's harness has it
(github.com/fhe-benchmarking, ml-inference). `run` starts them one after another, each in a new process, and
prints their times and bytes.
"""
