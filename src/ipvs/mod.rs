//! How the kernel's table is read and changed.
