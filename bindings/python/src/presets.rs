//! Presets: connector documents for well-known case systems, as JSON text.

use pyo3::prelude::*;

use crate::calls::{Failure, call};

/// The presets, a JSON array.
#[pyfunction]
pub(crate) fn presets(py: Python<'_>) -> PyResult<String> {
    call(py, || Ok(serde_json::to_string(casehook::presets())?))
}

/// One preset as a connector document, JSON text.
#[pyfunction]
pub(crate) fn preset(py: Python<'_>, name: &str, parameters: Vec<(String, String)>) -> PyResult<String> {
    call(py, || {
        let pairs: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        casehook::preset(name, &pairs).map_err(Failure::from)
    })
}
