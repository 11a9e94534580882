"""Settings: everything that comes from the environment.

Holds one frozen, typed set a kind of process, the reader of the environment, and accounts at providers.
Promises: every fault is reported at once, with the setting's name; a secret never prints.
Never: is read a second time while a process runs.
"""
