//! What the configuration needs from this machine: files, m4, includes, programs in the search path.
