"""What becomes of the messages that beat sends: which of them begins its task, and what they show of clocks.

Holds: ``dating`` writes beat's time into them, ``turns`` lets one of many begin, ``clocks`` compares clocks.
Promises: clocks that differ by minutes stop no task. Without the cache a process goes by what it did itself.
Never: an end of a message, which would be one host's time, judged by another's clock.
"""
