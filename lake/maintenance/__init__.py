"""Keep tables healthy for years: few files, a short log, no leftovers. ``run`` is the way in.

Everything here yields to the others. The writer never waits for it and never fails because of it;
a reader with an open snapshot keeps its files for the whole retention; and to whoever follows a
table by its versions, maintenance has added and removed nothing.
"""
