"""Made-up events for trying lakeward: deterministic by seed, with a ledger of what was sent."""
