//! Files on a disk: includes, m4, the search path.
