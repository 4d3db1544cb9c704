//! The embedded instance: a folder of SQLite files, one a database.
