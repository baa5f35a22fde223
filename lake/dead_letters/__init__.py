"""Dead letters and the way back: look at them, mend them, replay them exactly once, let them go.

``bronze.dead_letters`` holds what the writer put there and is only ever appended to by it. What
became of a letter since stands in ``ops.dead_letter_history``, one row a happening, joined by the
letter's Kafka coordinates. ``lake.dead_letters.landing`` has the argument why a letter that is
replayed becomes one row, whenever a process dies and however many run at once.
"""
