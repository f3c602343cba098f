"""What is decided: the study, proposers, policy, decisions, ledger, budget, the loop and the command line."""
