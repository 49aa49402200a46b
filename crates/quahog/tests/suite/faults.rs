//! Faults of the field, injected: see the table in the manual's chapter `live`.
