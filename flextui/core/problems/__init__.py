"""What is wrong now, as the 3 a.m. screen and `flextui problems` tell it.

Small pure rules over the state find problems; the board remembers since when each is there.
"""
