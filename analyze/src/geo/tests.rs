//! Databases of both shapes, and files that are none.
