"""How steadily each test passes in each lab: the rules (`tally`), and the tables they are kept in (`counting`)."""
