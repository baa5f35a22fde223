"""What the benchmarks share: brokers, filled topics, watched processes, drained topics."""
