"""What all rooms share. Imports the standard library only.

errors                  the exception tree and its exit codes
files                   atomic and durable writes of files and folders; what a full disk or a refused write means
digests                 digests of values and files
printable               messages to stderr, data to stdout, without secrets and control characters
followed_file           the new lines of a file that another process appends to
redaction               removes secrets from texts and addresses
wording                 "did you mean", one-line excerpts
clock                   the time as it is stored
interrupts              Ctrl-C and SIGTERM end a command where nothing is half written
plugins                 entry points of other packages
optional_dependencies   packages of an extra, experiment trackers, and the message where one is missing
parallel                many tasks in threads, results in order; one thread for numeric libraries
readable                waits until a descriptor can be read
systemd                 tells systemd that a session is alive
sqlite                  databases that several processes use, and digests of their rows, which reveal damage
"""
