//! Normalised views of text: what signatures for text and HTML are matched on.
