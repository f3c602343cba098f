"""results.tsv and progress.log, which follow the ledger: columns, rows, the sheet as text, and the files."""
