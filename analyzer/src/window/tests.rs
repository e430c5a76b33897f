//! Scrapes in, windows out.
