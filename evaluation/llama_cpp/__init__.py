"""llama.cpp from the folder of ``--llama-cpp DIR``: a checkout with its build, or only the programs.

tools.py    finds its programs and converters, and runs them
server.py   starts llama-server on this machine and asks it
"""
