"""The life of one event, told from the tables alone: ``lake.trace.life`` is the way in."""
