//! The Sieve mail filtering language: compiler, pausable runtime, ManageSieve.
