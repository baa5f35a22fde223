"""How Data Docs look: Great Expectations' pages, made to stand alone."""
