"""Timings of fhejax, alone and against other libraries; scripts to run, never tests."""
