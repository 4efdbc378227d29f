"""Measures how connections leave, and move: against the policy, and against what was promised."""
