"""What checks that read text have in common: changed files, findings before and after, rules of formats."""
