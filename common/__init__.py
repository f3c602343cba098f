"""What all rooms share. Imports the standard library only.

errors          the exception tree and its exit codes
extras          optional packages, and the message where one is missing
files           atomic and durable writes of files and folders
digests         digests of values and files
row_digests     digests of the rows of an SQLite file, which reveal damage
printable       messages to stderr, data to stdout, without secrets and control characters
redaction       removes secrets from texts and addresses
wording         "did you mean", one-line excerpts
clock           the time as it is stored
plugins         entry points of other packages
parallel        many tasks in threads, results in order
threads         one thread per process for numeric libraries
shared_sqlite   SQLite databases that several processes use
"""
