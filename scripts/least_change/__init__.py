"""Drags whose true result is known: by which solvers, and how near to it they come."""
