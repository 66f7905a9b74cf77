//! Which addresses a name has: hosts file, resolver, cache.
