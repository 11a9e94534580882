"""Command line: the console script ``checkout``, and what the files at the top of a checkout hand on.

Holds the commands of all processes, the environment file's grammar, and how the web process begins.
Promises: an installed package does what a checkout does, by the same code. Exit statuses are 0, 1 and 2.
Never: loads the application for a process that does without it. No room but ``local`` knows this one.
"""
