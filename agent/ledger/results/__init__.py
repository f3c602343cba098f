"""results.tsv and progress.log, which are written from the ledger: columns, rows, the table as text, and the files."""
