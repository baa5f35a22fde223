"""Are the tables true? Great Expectations suites, results with history, Data Docs."""
