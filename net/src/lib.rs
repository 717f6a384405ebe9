//! Drives the sans-IO mail machines over tokio and rustls: listeners, TLS, resolver.
