"""Commands: what operators had the service do, and how far the worker is with it.

Holds the one audit, the run of each command, and the counts of its results.
Promises: a command is a row before anything is done about it; the same key twice is one command.
Never: changes or deletes a row of the audit; carries a command out. The console, command lines and the worker come in.
"""
