//! A farm of real servers on loopback and a memory table, to look at.
