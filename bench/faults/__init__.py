"""nightlane bench faults: what is lost, doubled or different after a kill, a power cut, a full disk, an input/output
error or a damaged file, at any system call of any command.

calls        which system calls change files, and the filter that has the kernel ask about them
supervisor   runs one command in a forked process and answers those questions: count, record, fail, kill
disk         what a power cut leaves of recorded calls
scenario     what is run: a command, how a person goes on after a fault, what must be there in the end
nights, commands, real    the scenarios
compare      the undisturbed result against a disturbed one
cases        one case, by its kind and number
command      the plan, two processes, the table
"""
