//! Nothing lives here: the package holds the checks of the house in `tidy.rs`.
