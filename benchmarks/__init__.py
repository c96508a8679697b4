"""Programs that measure, one per question. `python -m benchmarks` runs them all.

Each compares two sides in the same run, taking turns, so that a noisy machine disturbs both;
each writes a JSON record to benchmarks/records, which the results page shows.
"""
