"""Settings: everything that comes from the environment.

Holds one frozen, typed set for each kind of process, the reader of the environment, and accounts at providers.
Promises: every fault is reported at start, all at once, with the setting's name. A secret never prints.
Never: reads the environment a second time while a process runs.
"""
