"""Does the sandbox hold on this machine, and what does it cost?"""
