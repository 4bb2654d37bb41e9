"""How tests have fared over branches: flaky ones, the matrix, one test's history, crashes, and whose a failure is.

All of it reads `report.outcomes` and `report.test_weeks`, which hold what each test came to in each run of a branch,
and goes by their indexes: what a page costs depends on what it shows, not on how much history there is.
"""
