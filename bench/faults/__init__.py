"""nightlane bench faults: what is lost, doubled or different after a kill, a power cut, a full disk, an input/output
error or a damaged file, at any system call of any command.

command, table   the plan, the two processes (worker), the table
cases            one case, by its kind and number
stage            a prepared scenario, in which cases are played
outcome          the kinds of faults, and what went wrong in a case
damaged_files    damaged files of a workspace
judge_faults     a night whose judge fails in every way

injection/calls             which system calls change files, and the filter that makes the kernel ask about them
injection/changes           what a call of another process would change; injection/process reads its memory
injection/supervisor        runs one command in a forked process; counts, records, fails or kills at its calls
injection/disk              what a kill or a power cut leaves of recorded calls
scenarios/scenario          a command, how a person recovers after a fault, and what must exist at the end
scenarios/nights, commands/ the scenarios
scenarios/judged_night      nights with a judge
scenarios/small_model       a model that is trained within a moment
scenarios/observe           what a command leaves, and the differences to a run without a fault
"""
