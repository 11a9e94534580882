"""The attacks, a file for each room that they are aimed at."""
