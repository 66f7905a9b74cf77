//! How hosts are checked: built-in checks and executables, options in, a report out.
