"""The planner: levels, scales, parameters and bootstraps that meet a precision at least cost."""
