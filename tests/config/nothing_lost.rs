//! What no input may do: end the program, or be lost without a word.
