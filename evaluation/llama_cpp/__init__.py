"""llama.cpp, where ``--llama-cpp DIR`` has it: a checkout with its build, or a folder of its programs.

tools.py    finds its programs and converters, and runs them
server.py   starts llama-server on this machine and asks it
"""
